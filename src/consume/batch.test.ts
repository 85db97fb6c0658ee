import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { StreamItem } from '../change/change-event.ts'
import { unprocessed } from './batch.ts'
import { cutIntoCalls, endsBy, xidsOf } from './cache-batch.ts'
import { insert, message, place, progress, snapshot, transaction } from './change-fixture.ts'

const row = (id: number) => insert({ id: String(id) })
const idsOf = (items: readonly StreamItem[]): string[] =>
  items.flatMap((item) =>
    item.kind === 'progress'
      ? []
      : item.changes.map((change) => `${change.position.commitLsn}.${change.position.ordinal}`),
  )

test('what was processed before is left out when it is delivered again, and the position does not go back', () => {
  const items = [transaction(10, [row(1), row(2)]), transaction(20, [row(3)])]
  const again = unprocessed(items, place(21))
  assert.deepEqual(again, { items: [], to: place(21), changeCount: 0 })
  const half = unprocessed(items, place(11))
  assert.deepEqual(idsOf(half.items), ['20.1'])
  assert.deepEqual([half.to, half.changeCount], [place(21), 1])
})

test('P3: what a stream that broke brings again within one batch is left out, whole and in part', () => {
  const again = [transaction(10, [row(1)]), transaction(20, [row(2), row(3)]), transaction(30, [row(4)])]
  const { items, to, changeCount } = unprocessed([...again.slice(0, 2), progress(25), ...again], place(0))
  assert.deepEqual(idsOf(items), ['10.1', '20.1', '20.2', '30.1'])
  assert.deepEqual([to, changeCount], [place(31), 4])
  const piece = transaction(20, [row(2)], { isLast: false })
  assert.deepEqual(idsOf(unprocessed([piece, ...again.slice(0, 2)], place(11)).items), ['20.1', '20.2'])
})

test('P3: however often a stream breaks, and however it is cut into calls, each change is kept once, in order', () => {
  const runs = fc.array(fc.record({ on: fc.integer({ min: 1, max: 6 }), back: fc.nat({ max: 8 }) }), { minLength: 1 })
  fc.assert(
    fc.property(runs, fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (given, sizes) => {
      const items: StreamItem[] = []
      let next = 1
      let furthest = 0
      for (const { on, back } of given) {
        for (let step = 0; step < on; step++, next++)
          items.push(transaction(10 * next, [row(1), row(2)]), progress(10 * next + 1))
        furthest = Math.max(furthest, next - 1)
        next = Math.max(1, next - back)
      }
      const kept: string[] = []
      let from = place(0)
      for (let call = 0; items.length > 0; call++) {
        const some = unprocessed(items.splice(0, sizes[call % sizes.length]), from)
        kept.push(...idsOf(some.items))
        from = some.to
      }
      const all = Array.from({ length: furthest }, (_, index) =>
        [1, 2].map((ordinal) => `${10 * (index + 1)}.${ordinal}`),
      )
      assert.deepEqual(kept, all.flat())
    }),
  )
})

test('after the last piece of a transaction the position is its end, with which the slot may be acked', () => {
  assert.deepEqual(unprocessed([transaction(10, [row(1)])], place(0)).to, place(11))
  assert.deepEqual(unprocessed([transaction(10, [row(1), row(2)], { isLast: false })], place(0)).to, place(10, 2))
  const empty = transaction(10, [], { firstOrdinal: 3 })
  assert.deepEqual(unprocessed([empty], place(10, 2)), { items: [], to: place(11), changeCount: 0 })
})

test('of a transaction that was processed in part, the rest remains', () => {
  const again = unprocessed([transaction(10, [row(1), row(2), row(3)])], place(10, 2))
  assert.deepEqual(idsOf(again.items), ['10.3'])
  assert.deepEqual([again.to, again.changeCount], [place(11), 1])
})

test('progress moves the position and is no work; an older report moves nothing', () => {
  assert.deepEqual(unprocessed([progress(30)], place(21)), { items: [], to: place(30), changeCount: 0 })
  assert.deepEqual(unprocessed([progress(15)], place(21)).to, place(21))
})

test('snapshot rows are always kept: they say nothing about a position', () => {
  const kept = unprocessed([snapshot(5, [{ id: '1' }])], place(21))
  assert.deepEqual([kept.items.length, kept.changeCount, kept.to], [1, 1, place(21)])
})

test('calls are cut between transactions, never within one, and nothing is left out or moved', () => {
  const items = [
    transaction(10, [row(1), row(2)]),
    progress(12),
    transaction(20, [row(3)]),
    transaction(
      30,
      Array.from({ length: 7 }, (_, index) => row(index)),
    ),
    transaction(40, [row(9)]),
  ]
  const calls = cutIntoCalls(items, 3)
  assert.deepEqual(calls.flat(), items)
  assert.deepEqual(
    calls.map((call) => idsOf(call).length),
    [3, 7, 1],
  )
  assert.deepEqual(cutIntoCalls([], 3), [])
})

test('an item ends by a bound only if all of it does', () => {
  assert.equal(endsBy(transaction(10, [row(1)]), place(11)), true)
  assert.equal(endsBy(transaction(10, [row(1), row(2)]), place(10, 1)), false)
  assert.equal(endsBy(transaction(10, [row(1)], { isLast: false }), place(10, 1)), true)
  assert.equal(endsBy(progress(12), place(11)), false)
})

test('nobody waits for the visibility of logical messages, whose xid may be none', () => {
  const items = [transaction(10, [message(false)], { xid: 0 }), transaction(20, [message(), row(1)], { xid: 7 })]
  assert.deepEqual(xidsOf(items), [7])
})
