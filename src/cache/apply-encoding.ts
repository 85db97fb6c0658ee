import { type Lsn, LSN_ZERO, lsnToFixedHex } from '../change/lsn.ts'
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
  const stampOf = createStamps()

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
    keys.push(key)
    const letter = letterOf(operation)
    const ttl = letter === 'v' || letter === 'l' ? ttlOf(view.view, options.random) : ''
    const count = action.kind === 'members' && letter === 'l' ? action.members.length : ''
    const stamp = stampOf(operation)
    args.push(`${letter}${number};${ttl};${count}`, role === 'both' ? stamp : `${stamp}|${operation.position}`)
    if (action.kind === 'value' && letter === 'v') args.push(versioned(action.document, eventVersion(view.code, stamp)))
    else if (action.kind === 'members' && letter === 'l') {
      for (const member of action.members) {
        const memberStamp = stampOf(member)
        const { field, document } = member
        args.push(
          field,
          memberStamp,
          document === null ? '' : versioned(document, eventVersion(view.code, memberStamp)),
        )
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

interface Stamped {
  readonly lsn: Lsn
  readonly xids: readonly bigint[]
}

/** `<lsn>|<xids>`. One change is several operations, one after the other: their stamp is written once. */
function createStamps(): (stamped: Stamped) => string {
  let last: Stamped = { lsn: LSN_ZERO, xids: [] }
  let text = `${lsnToFixedHex(LSN_ZERO)}|`
  return (stamped) => {
    const { lsn, xids } = stamped
    if (last.lsn !== lsn || last.xids.length !== xids.length || !last.xids.every((xid, nr) => xid === xids[nr])) {
      last = stamped
      text = `${lsnToFixedHex(lsn)}|${xids.join(',')}`
    }
    return text
  }
}

/** Of the stamp's transactions the last one made it. */
function eventVersion(code: string, stamp: string): string {
  const comma = stamp.lastIndexOf(',')
  return `${code}|e|${comma === -1 ? stamp : `${stamp.slice(0, LSN_DIGITS + 1)}${stamp.slice(comma + 1)}`}`
}

const LSN_DIGITS = 16

/** The version goes first, by hand: JSON.stringify would put names that look like numbers before it. */
export function versioned(document: string, version: string): string {
  return document === '{}' ? `{"_v":"${version}"}` : `{"_v":"${version}",${document.slice(1)}`
}
