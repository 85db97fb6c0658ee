import { isVisible, parseSnapshot, type Snapshot } from '../change/transaction-id.ts'
import { lsnToFixedHex } from '../change/lsn.ts'
import type { CompiledView } from './compiled-view.ts'
import type { FreshnessToken } from './token.ts'
import type { Document } from './view.ts'

/** What a key holds, for those who answer it. `version` as in lua/versions.lua. */
export interface Entry {
  readonly version: string
  readonly value: EntryValue
}

export type EntryValue =
  | { readonly kind: 'document'; readonly document: Document }
  | { readonly kind: 'members'; readonly members: readonly Document[] }
  | { readonly kind: 'absent' }

/** undefined for what was not made by this code of this view, or is no entry at all: a miss. */
export function readDocument(view: CompiledView, reply: unknown): Entry | undefined {
  if (typeof reply !== 'string') return undefined
  const document = parseObject(reply)
  const version = document?.['_v']
  if (!document || typeof version !== 'string' || !isOfCode(view, version)) return undefined
  return { version, value: { kind: 'document', document: withoutVersion(document) } }
}

/** From HGETALL's reply in whatever form the connection's protocol gives it. */
export function readMembers(view: CompiledView, reply: unknown): Entry | undefined {
  const fields = pairsOf(reply)
  const version = fields?.get('_v')
  if (!fields || version === undefined || !isOfCode(view, version)) return undefined
  const members: Document[] = []
  for (const [field, text] of fields) {
    if (field.startsWith('_')) continue
    const document = parseObject(text)
    if (!document) return undefined
    members.push(withoutVersion(document))
  }
  return { version, value: { kind: 'members', members } }
}

export function readAbsence(view: CompiledView, version: unknown): Entry | undefined {
  return typeof version === 'string' && isOfCode(view, version) ? { version, value: { kind: 'absent' } } : undefined
}

/** L7. A list is judged by its snapshot alone: one member's version says nothing about the others. */
export function satisfies(version: string, token: FreshnessToken): boolean {
  const [, kind, first, second] = version.split('|')
  if (kind === 'e') return second === String(token.xid) || (first !== undefined && first >= lsnToFixedHex(token.lsn))
  if (kind !== 'r' || first === undefined) return false
  let snapshot: Snapshot
  try {
    snapshot = parseSnapshot(first)
  } catch {
    return false
  }
  return isVisible(token.xid, snapshot)
}

/** Behind the code, what lua/versions.lua writes: what only begins like it says nothing about its age, and nobody would ever replace it. */
const KIND = /^\|(?:e\|[0-9A-F]{16}\|\d+|r\|\d+:\d+:[\d,]*)$/

function isOfCode(view: CompiledView, version: string): boolean {
  return version.startsWith(view.code) && KIND.test(version.slice(view.code.length))
}

function parseObject(text: string): Record<string, Document[string]> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, Document[string]>)
      : undefined
  } catch {
    return undefined
  }
}

function withoutVersion(document: Record<string, Document[string]>): Document {
  const { _v, ...rest } = document
  return rest
}

function pairsOf(reply: unknown): Map<string, string> | undefined {
  let flat: unknown[]
  if (Array.isArray(reply)) flat = reply
  else if (reply instanceof Map) flat = [...(reply as Map<unknown, unknown>)].flat()
  else if (typeof reply === 'object' && reply !== null) flat = Object.entries(reply).flat()
  else return undefined
  const pairs = new Map<string, string>()
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const [field, value] = [flat[index], flat[index + 1]]
    if (typeof field !== 'string' || typeof value !== 'string') return undefined
    pairs.set(field, value)
  }
  return pairs
}
