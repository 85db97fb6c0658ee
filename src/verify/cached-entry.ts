/** What Redis holds for keys of a view, read for comparison: nothing is changed, no lease taken. */
import type { CompiledView } from '../cache/compiled-view.ts'
import { callRedis, isErrorReply, type RedisConnection } from '../cache/redis-call.ts'
import { type EntryVersion, parseEntryVersion } from './entry-version.ts'

export type CachedEntry =
  | { readonly kind: 'missing' }
  /** Something is there that TrackOps does not write: another type, no JSON object, no version. */
  | { readonly kind: 'unreadable'; readonly raw: string }
  | { readonly kind: 'document'; readonly version: EntryVersion; readonly document: JsonObject; readonly raw: string }
  | {
      readonly kind: 'members'
      readonly version: EntryVersion
      readonly members: ReadonlyMap<string, JsonObject>
      /** All fields, metadata included, as they are. */
      readonly fields: ReadonlyMap<string, string>
    }
  /** Known not to exist: `{K}:absent`, and nothing at K. */
  | { readonly kind: 'absent'; readonly version: EntryVersion; readonly raw: string }

/** Without TrackOps's own members, whose names begin with `_`. */
export type JsonObject = Readonly<Record<string, unknown>>

export interface RedisDeps {
  readonly redis: RedisConnection
  readonly timeoutMs: number
}

/** In place of a reply: the key holds something of another type. */
const ANOTHER_TYPE = Object.freeze({})

export const absentKey = (key: string): string => `{${key}}:absent`

/** One for each of `keys`, in their order. */
export async function readCachedEntries(
  deps: RedisDeps,
  view: CompiledView,
  keys: readonly string[],
): Promise<readonly CachedEntry[]> {
  return await Promise.all(keys.map((key) => readOne(deps, view, key)))
}

async function readOne({ redis, timeoutMs }: RedisDeps, view: CompiledView, key: string): Promise<CachedEntry> {
  const [value, absence] = await Promise.all([
    callRedis(redis, view.kind === 'list' ? ['HGETALL', key] : ['GET', key], timeoutMs).catch((error: unknown) => {
      if (isErrorReply(error, 'WRONGTYPE')) return ANOTHER_TYPE
      throw error
    }),
    callRedis(redis, ['GET', absentKey(key)], timeoutMs).catch((error: unknown) => {
      if (isErrorReply(error, 'WRONGTYPE')) return ''
      throw error
    }),
  ])
  const entry = view.kind === 'list' ? parseList(value) : parseDocument(value)
  return entry.kind === 'missing' && typeof absence === 'string' ? parseAbsence(absence) : entry
}

/** Pure. `reply` as GET gives it. */
export function parseDocument(reply: unknown): CachedEntry {
  if (reply === null) return { kind: 'missing' }
  if (typeof reply !== 'string') return { kind: 'unreadable', raw: 'another type' }
  const parsed = parseObject(reply)
  const version = typeof parsed?.['_v'] === 'string' ? parseEntryVersion(parsed['_v']) : undefined
  if (!parsed || !version) return { kind: 'unreadable', raw: reply }
  return { kind: 'document', version, document: withoutMetadata(parsed), raw: reply }
}

/** Pure. `reply` as HGETALL gives it, in whichever form the connection's protocol has for it. */
export function parseList(reply: unknown): CachedEntry {
  const fields = fieldsOf(reply)
  if (!fields) return { kind: 'unreadable', raw: 'another type' }
  if (fields.size === 0) return { kind: 'missing' }
  const version = parseEntryVersion(fields.get('_v') ?? '')
  if (!version) return { kind: 'unreadable', raw: rawOfFields(fields) }
  const members = new Map<string, JsonObject>()
  for (const [field, text] of fields) {
    if (field.startsWith('_')) continue
    const parsed = parseObject(text)
    if (!parsed) return { kind: 'unreadable', raw: rawOfFields(fields) }
    members.set(field, withoutMetadata(parsed))
  }
  return { kind: 'members', version, members, fields }
}

/** All of an entry, or one member of it together with the list's version: another text means that somebody has written it since. */
export function rawOf(entry: CachedEntry, member: string): string {
  if (entry.kind === 'missing') return ''
  if (entry.kind !== 'members') return entry.raw
  return `${entry.fields.get('_v')} ${entry.fields.get(member) ?? ''}`
}

function rawOfFields(fields: ReadonlyMap<string, string>): string {
  return JSON.stringify([...fields].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** RESP2: field, value, field, ...; RESP3: a map or an object. undefined for what is no hash. */
export function fieldsOf(reply: unknown): ReadonlyMap<string, string> | undefined {
  if (reply instanceof Map) return new Map(Array.from(reply, ([field, value]) => [String(field), String(value)]))
  if (!Array.isArray(reply)) {
    if (typeof reply !== 'object' || reply === null || reply === ANOTHER_TYPE) return undefined
    return new Map(Object.entries(reply).map(([field, value]) => [field, String(value)]))
  }
  const fields = new Map<string, string>()
  for (let index = 0; index + 1 < reply.length; index += 2) fields.set(String(reply[index]), String(reply[index + 1]))
  return fields
}

function parseAbsence(text: string): CachedEntry {
  const version = parseEntryVersion(text)
  return version ? { kind: 'absent', version, raw: text } : { kind: 'unreadable', raw: text }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function withoutMetadata(object: Record<string, unknown>): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !name.startsWith('_')))
}
