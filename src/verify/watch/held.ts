/** Keys that differed and are looked at again: in flight until they agree, or until a position proves that they do not. Bounded. */
import type { Suspect } from '../suspect.ts'
import type { Absence } from './absences.ts'
import type { ViolationKind } from './name-violation.ts'

export type Held = (
  | { readonly what: 'difference'; readonly suspect: Suspect }
  | { readonly what: 'absence'; readonly absence: Absence }
) & {
  /** Proven; null: in flight. */
  readonly violation: ViolationKind | null
}

/** A document is one, a list as many as it has members that differ; some 200 bytes each. */
const MAX_PARTS = 10_000

export interface HeldKeys {
  readonly size: number
  get(key: string): Held | undefined
  /** False: there is no room for it. */
  put(held: Held): boolean
  drop(key: string): void
  /** The next so many to look at again; each comes to its turn. */
  take(limit: number): readonly Held[]
  all(): Iterable<Held>
}

export function createHeldKeys(): HeldKeys {
  const held = new Map<string, Held>()
  let parts = 0
  function drop(key: string): void {
    const known = held.get(key)
    if (known && held.delete(key)) parts -= partsOf(known)
  }
  return {
    get size() {
      return held.size
    },
    get: (key) => held.get(key),
    put(one) {
      const key = keyOf(one)
      drop(key)
      if (held.size > 0 && parts + partsOf(one) > MAX_PARTS) return false
      held.set(key, one)
      parts += partsOf(one)
      return true
    },
    drop,
    take(limit) {
      const first: Held[] = []
      for (const one of held.values()) {
        if (first.length >= limit) break
        first.push(one)
      }
      for (const one of first) {
        held.delete(keyOf(one))
        held.set(keyOf(one), one)
      }
      return first
    },
    all: () => held.values(),
  }
}

/** A key is of one view only. */
export function keyOf(one: Held): string {
  return one.what === 'absence' ? one.absence.key : one.suspect.key
}

/** Since when it has been there as it is, unchanged: of its parts the oldest. */
export function sinceMs(one: Held): number {
  return one.what === 'absence'
    ? one.absence.sinceMs
    : Math.min(...Array.from(one.suspect.parts.values(), (part) => part.sinceMs))
}

function partsOf(one: Held): number {
  return one.what === 'absence' ? 1 : one.suspect.parts.size
}
