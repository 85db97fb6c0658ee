import { lsnToFixedHex } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { type CompiledView, ttlOf } from './compiled-view.ts'
import type { KeyOperation } from './key-operation.ts'
import type { GlobalKeys } from './global-keys.ts'

export interface EncodeOptions {
  readonly role: keyof typeof ROLES
  readonly from: { readonly invalidator?: string | null; readonly warmer?: string | null }
  readonly to: string
  readonly keys: GlobalKeys
  readonly random: () => number
}

/** KEYS and ARGV of `lua/apply.lua`; its header has the form. @throws TrackOpsError CONFIG_INVALID for two operations of one key */
export function encodeBatch(
  operations: readonly KeyOperation[],
  options: EncodeOptions,
): { keys: string[]; args: string[] } {
  const { role, from, to } = options
  const numbers = new Map<CompiledView, string>()
  const viewKeys: string[] = []
  const viewArgs: string[] = []
  const keys: string[] = []
  const args: string[] = []
  const seen = new Set<string>()
  const positionOf = (operation: KeyOperation): string => (role === 'both' ? '' : operation.position)

  for (const operation of operations) {
    const { view, key, action } = operation
    if (seen.has(key))
      throw new TrackOpsError('CONFIG_INVALID', `a batch has two operations of one key, of view ${view.name}`)
    seen.add(key)
    let number = numbers.get(view)
    if (number === undefined) {
      number = String(numbers.size + 1)
      numbers.set(view, number)
      viewKeys.push(options.keys.viewFence(view.name))
      viewArgs.push(view.code, KINDS[view.kind], POLICIES[view.view.warm])
    }
    const lsn = lsnToFixedHex(operation.lsn)
    keys.push(key)
    const letter = letterOf(operation)
    args.push(letter, number, lsn, positionOf(operation), operation.xids.join(','))
    if (action.kind === 'value' && letter === 'v') {
      args.push(
        String(ttlOf(view.view, options.random)),
        versioned(action.document, eventVersion(view.code, lsn, operation.xids)),
      )
    } else if (action.kind === 'members' && letter === 'l') {
      args.push(String(ttlOf(view.view, options.random)), String(action.members.length))
      for (const member of action.members) {
        const memberLsn = lsnToFixedHex(member.lsn)
        const document =
          member.document === null ? '' : versioned(member.document, eventVersion(view.code, memberLsn, member.xids))
        args.push(member.field, memberLsn, member.xids.join(','), document)
      }
    }
  }
  const header = [ROLES[role], from.invalidator ?? '', from.warmer ?? '', to, String(numbers.size), ...viewArgs]
  return { keys: [options.keys.invalidator, options.keys.warmer, ...viewKeys, ...keys], args: [...header, ...args] }
}

export const KINDS = { row: 's', list: 'h', query: 'q' } as const
const POLICIES = { all: 'a', cached: 'c', none: 'n' } as const
const ROLES = { invalidate: 'i', warm: 'w', both: 'b' } as const

function letterOf({ view, action }: KeyOperation): string {
  const isNone = view.view.warm === 'none'
  switch (action.kind) {
    case 'value':
      return isNone ? 'i' : 'v'
    case 'members':
      return isNone ? 'i' : 'l'
    case 'gone':
      return 'g'
    case 'invalidate':
      return action.refill ? 'r' : 'i'
    case 'prewarm':
      return 'p'
  }
}

function eventVersion(code: string, lsn: string, xids: readonly bigint[]): string {
  return `${code}|e|${lsn}|${xids.at(-1) ?? 0n}`
}

/** The version goes first, by hand: JSON.stringify would put names that look like numbers before it. */
export function versioned(document: string, version: string): string {
  return document === '{}' ? `{"_v":"${version}"}` : `{"_v":"${version}",${document.slice(1)}`
}
