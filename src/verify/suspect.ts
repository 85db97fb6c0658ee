/** Pure: what is known about a key that differed, and what another look at it adds. */
import type { CompiledView } from '../cache/compiled-view.ts'
import type { Lsn } from '../change/lsn.ts'
import type { CheckedKey } from './check-keys.ts'
import { type Difference, WHOLE } from './compare.ts'

/** A key that differed whenever it was looked at, and what of it did so: members of a list, or the whole entry. */
export interface Suspect {
  readonly view: CompiledView
  readonly key: string
  readonly difference: Difference
  readonly parts: ReadonlyMap<string, Part>
}

export interface Part {
  /** Of what is in the cache, its version included: another one means that somebody has written it since. */
  readonly digest: string
  /** WAL insert position after the database was read, when this digest was first seen; null: no row can have this key. */
  readonly insertLsn: Lsn | null
  /** When this digest was first seen, milliseconds. */
  readonly sinceMs: number
  /** It has not been written since the first look. */
  readonly isUntouched: boolean
}

export function firstSuspicion(checked: CheckedKey, difference: Difference, nowMs: number): Suspect {
  const { view, key, digests, insertLsn } = checked
  const parts = new Map(
    Array.from(digests, ([member, digest]) => [member, { digest, insertLsn, sinceMs: nowMs, isUntouched: true }]),
  )
  return { view, key, difference, parts }
}

/**
 * What still differs. A part that was equal at any look is right, or was in flight, so it is dropped: a list that changes all the time
 * is right if each of its members is equal now and then. undefined: nothing is left.
 */
export function stillSuspect(before: Suspect, checked: CheckedKey, nowMs: number): Suspect | undefined {
  if (checked.verdict.kind !== 'different') return undefined
  const [whole = ''] = WHOLE
  const isWhole = before.parts.has(whole) || checked.digests.has(whole)
  const parts = new Map<string, Part>()
  for (const [member, digest] of checked.digests) {
    const known = before.parts.get(member)
    if (!known && !isWhole) continue
    const isSame = known?.digest === digest
    parts.set(member, isSame ? known : { digest, insertLsn: checked.insertLsn, sinceMs: nowMs, isUntouched: false })
  }
  return parts.size === 0 ? undefined : { ...before, difference: checked.verdict.difference, parts }
}

/**
 * The consumers have passed what the database showed when this was first seen in the cache, and it is still there unchanged.
 * `reached`: what all of them have passed, asked for before the look.
 */
export function isProven(before: Suspect, now: Suspect, reached: Lsn | null): boolean {
  return Array.from(now.parts).some(([member, { digest }]) => {
    const known = before.parts.get(member)
    if (known?.digest !== digest) return false
    return known.insertLsn === null || (reached !== null && reached >= known.insertLsn)
  })
}

/** An entry that nobody has touched for so long is not in flight. */
const UNTOUCHED_MS = 5_000

/** When time is up: stale whatever the positions say, unless somebody has just written it. */
export function isLeftAlone(suspect: Suspect, nowMs: number): boolean {
  return Array.from(suspect.parts.values()).some((part) => part.isUntouched || nowMs - part.sinceMs > UNTOUCHED_MS)
}
