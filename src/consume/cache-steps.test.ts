import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { StreamItem } from '../change/change-event.ts'
import { comparePositions, formatPosition, type Position } from '../change/position.ts'
import type { ApplyRole, CacheRole } from './cache-roles.ts'
import { type CachePositions, moved, slowest, stepsOf } from './cache-steps.ts'
import { insert, place, progress, transaction } from './change-fixture.ts'

interface Run {
  readonly invalidated: string[]
  readonly warmed: string[]
  readonly parts: ApplyRole[]
  at: CachePositions
}

/** Goes through the calls as the consumer does. */
function follow(calls: readonly (readonly StreamItem[])[], role: CacheRole, from: CachePositions): Run {
  const run: Run = { invalidated: [], warmed: [], parts: [], at: from }
  for (const call of calls) {
    for (const step of stepsOf(call, role, run)) {
      const done = step.todo.items.flatMap((item) => (item.kind === 'progress' ? [] : item.changes))
      const names = done.map((change) => formatPosition(change.position))
      if (step.part !== 'warm') run.invalidated.push(...names)
      if (step.part !== 'invalidate') run.warmed.push(...names)
      run.parts.push(step.part)
      run.at = moved(run.at, step)
    }
  }
  return run
}

const rows = (count: number) => Array.from({ length: count }, (_, index) => insert({ id: String(index) }))

test('together at one position, one call serves both', () => {
  const run = follow([[transaction(10, rows(2)), progress(15)]], 'together', {
    invalidator: place(0),
    warmer: place(0),
  })
  assert.deepEqual(run.parts, ['both'])
  assert.deepEqual(run.at, { invalidator: place(15), warmer: place(15) })
})

test('the one that is behind catches up alone, and from there on one call serves both', () => {
  const items = [transaction(10, rows(1)), transaction(20, rows(1)), transaction(30, rows(1))]
  const run = follow([items], 'together', { invalidator: place(21), warmer: place(0) })
  assert.deepEqual(run.parts, ['warm', 'both'])
  assert.deepEqual(run.at, { invalidator: place(31), warmer: place(31) })
})

test('where the one ahead stopped within a transaction, each does what it has left of it', () => {
  const run = follow([[transaction(10, rows(4))]], 'together', { invalidator: place(0), warmer: place(10, 3) })
  assert.deepEqual(run.parts, ['invalidate', 'warm'])
  assert.equal(run.invalidated.length, 4)
  assert.equal(run.warmed.length, 1)
})

test('what all of the work has reached is where the slower one stands', () => {
  const at = { invalidator: place(10), warmer: place(7) }
  assert.deepEqual(slowest('together', at), place(7))
  assert.deepEqual(slowest('cache-invalidator', at), place(10))
  assert.deepEqual(slowest('cache-warmer', at), place(7))
})

interface Drawn {
  readonly items: readonly StreamItem[]
  /** Every position at which a consumer may stand. */
  readonly stops: readonly Position[]
}

/** Transactions, whole and in pieces, with progress between them. */
const stream: fc.Arbitrary<Drawn> = fc
  .array(
    fc.record({
      pieces: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 3 }),
      hasProgress: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((drawn) => {
    const items: StreamItem[] = []
    const stops: Position[] = [place(0)]
    for (const [index, { pieces, hasProgress }] of drawn.entries()) {
      const commit = (index + 1) * 10
      let firstOrdinal = 1
      for (const [number, size] of pieces.entries()) {
        const isLast = number === pieces.length - 1
        items.push(transaction(commit, rows(size), { isLast, firstOrdinal, isWhole: pieces.length === 1 }))
        firstOrdinal += size
      }
      for (let ordinal = 1; ordinal < firstOrdinal; ordinal++) stops.push(place(commit, ordinal))
      stops.push(place(commit + 1))
      if (hasProgress) {
        items.push(progress(commit + 5))
        stops.push(place(commit + 5))
      }
    }
    stops.push(place(1000))
    return { items, stops }
  })

const arrangement = stream.chain(({ items, stops }) =>
  fc.record({
    items: fc.constant(items),
    invalidator: fc.constantFrom(...stops),
    warmer: fc.constantFrom(...stops),
    cuts: fc.array(fc.nat({ max: items.length }), { maxLength: 3 }),
  }),
)

test('however far apart the two stand and wherever the stream is cut, each does each change after its position once, in order', () => {
  fc.assert(
    fc.property(
      arrangement,
      fc.constantFrom('together', 'cache-invalidator', 'cache-warmer'),
      (drawn, role: CacheRole) => {
        const { items, invalidator, warmer } = drawn
        const bounds = [0, ...drawn.cuts.toSorted((a, b) => a - b), items.length]
        const calls = bounds.slice(1).map((bound, index) => items.slice(bounds[index], bound))
        const run = follow(calls, role, { invalidator, warmer })
        const after = (from: Position): string[] =>
          items
            .flatMap((item) => (item.kind === 'progress' ? [] : item.changes))
            .filter((change) => comparePositions(change.position, from) > 0)
            .map((change) => formatPosition(change.position))
        assert.deepEqual(run.invalidated, role === 'cache-warmer' ? [] : after(invalidator))
        assert.deepEqual(run.warmed, role === 'cache-invalidator' ? [] : after(warmer))
        const isUnmoved = (who: 'invalidator' | 'warmer', from: Position): boolean => run.at[who] === from
        if (role === 'cache-warmer') assert.ok(isUnmoved('invalidator', invalidator))
        if (role === 'cache-invalidator') assert.ok(isUnmoved('warmer', warmer))
        assert.ok(
          comparePositions(run.at.invalidator, invalidator) >= 0 && comparePositions(run.at.warmer, warmer) >= 0,
        )
      },
    ),
    { numRuns: 1000 },
  )
})
