import type { StreamItem } from '../change/change-event.ts'
import { comparePositions, type Position } from '../change/position.ts'
import { type Unprocessed, unprocessed } from './batch.ts'
import { endsBy } from './cache-batch.ts'
import { type ApplyRole, type CacheRole, roleAt } from './cache-roles.ts'

/** Where each of the two cache consumers stands. */
export type CachePositions = Readonly<Record<'invalidator' | 'warmer', Position>>

/** One atomic call: who does it, and what there is to do. `todo.to` is where it leads. */
export interface CacheStep {
  readonly part: ApplyRole
  readonly todo: Unprocessed
}

/**
 * What one cut of the stream means for a loop whose two positions may differ: first the one that is behind alone, up to the
 * other, then both together. Looks at `standing` anew for each step: the caller moves it on in between (see `moved`).
 */
export function* stepsOf(
  items: readonly StreamItem[],
  role: CacheRole,
  standing: { readonly at: CachePositions },
): Generator<CacheStep> {
  const stepFor = (part: ApplyRole, slice: readonly StreamItem[]): readonly CacheStep[] => {
    const from = part === 'warm' ? standing.at.warmer : standing.at.invalidator
    const todo = unprocessed(slice, from)
    return todo.changeCount > 0 || comparePositions(todo.to, from) > 0 ? [{ part, todo }] : []
  }
  let rest = items
  while (rest.length > 0) {
    const part = roleAt(role, standing.at)
    if (role !== 'together' || part === 'both') {
      yield* stepFor(part, rest)
      return
    }
    const bound = part === 'warm' ? standing.at.invalidator : standing.at.warmer
    const across = rest.findIndex((item) => !endsBy(item, bound))
    if (across !== 0) {
      const count = across === -1 ? rest.length : across
      yield* stepFor(part, rest.slice(0, count))
      rest = rest.slice(count)
    } else {
      // The one ahead stopped within this transaction: each does what it has left of it.
      const other = part === 'warm' ? 'invalidate' : 'warm'
      yield* stepFor(part, rest.slice(0, 1))
      yield* stepFor(other, rest.slice(0, 1))
      rest = rest.slice(1)
    }
  }
}

/** Moves those who did the step on to where it leads. */
export function moved(at: CachePositions, { part, todo }: CacheStep): CachePositions {
  return {
    invalidator: part === 'warm' ? at.invalidator : todo.to,
    warmer: part === 'invalidate' ? at.warmer : todo.to,
  }
}

/** How far all of this loop's work is done: the position of the one that is behind. */
export function slowest(role: CacheRole, at: CachePositions): Position {
  return roleAt(role, at) === 'warm' ? at.warmer : at.invalidator
}
