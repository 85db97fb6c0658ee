import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ChangeEvent, StreamItem } from '../change/change-event.ts'
import { toLsn } from '../change/lsn.ts'
import { insert, lsn, snapshot, transaction, update } from './change-fixture.ts'
import { groupChanges, type PartitionChange } from './group-changes.ts'

/** Offsets count from 0 in the order that is given. */
function topic(...changes: readonly (readonly [xid: number, row: string])[]): PartitionChange[] {
  return changes.map(([xid, row], offset) => {
    const piece = transaction(xid, [update({ id: row }, { id: row, status: String(offset) })])
    return at(piece.changes[0], row, offset)
  })
}

function at(change: ChangeEvent | undefined, rowKey: string, offset: number): PartitionChange {
  assert.ok(change)
  const position = { commitLsn: toLsn(BigInt(offset)), ordinal: 1 }
  return { change: { ...change, position }, rowKey, bytes: 10 }
}

const shapeOf = (items: readonly StreamItem[]) =>
  items.map((item) => {
    assert.ok(item.kind === 'transaction')
    const superseded = item.changes.map(({ isSuperseded }) => isSuperseded ?? null)
    return { xid: item.transaction.xid, isWhole: item.isWhole, end: item.endLsn, superseded }
  })

test('a transaction that another follows in its partition is whole; of the last more may come', () => {
  const items = groupChanges(topic([10, 'a'], [10, 'b'], [20, 'a'], [30, 'c']), null)
  assert.deepEqual(shapeOf(items), [
    { xid: 10, isWhole: true, end: 2n, superseded: [null, null] },
    { xid: 20, isWhole: true, end: 3n, superseded: [null] },
    { xid: 30, isWhole: false, end: 4n, superseded: [null] },
  ])
})

test('in what may not be whole, a state that the same row leaves again here is known to be seen by nobody', () => {
  const items = groupChanges(topic([10, 'a'], [10, 'b'], [10, 'a']), null)
  assert.deepEqual(shapeOf(items), [{ xid: 10, isWhole: false, end: 3n, superseded: [true, null, null] }])
})

test('transactions that come again, interleaved, are as many as come', () => {
  const items = groupChanges(topic([10, 'a'], [20, 'a'], [10, 'a'], [20, 'a']), null)
  assert.deepEqual(
    shapeOf(items).map(({ xid, isWhole }) => [xid, isWhole]),
    [
      [10, true],
      [20, true],
      [10, true],
      [20, false],
    ],
  )
})

test('the first rows of a snapshot supersede what is cached, the others of it do not, and another one does again', () => {
  const rows = (point: number, from: number): PartitionChange[] =>
    snapshot(point, [{ id: 'a' }, { id: 'b' }]).changes.map((change, index) => at(change, 'x', from + index))
  const supersedes = (items: readonly StreamItem[]) =>
    items.map((item) => (item.kind === 'snapshot' ? (item.supersedes ?? null) : item.kind))
  const mixed = [...rows(50, 0), at(transaction(60, [insert({ id: 'c' })]).changes[0], 'c', 2), ...rows(90, 3)]
  assert.deepEqual(supersedes(groupChanges(mixed, null)), [lsn(50), 'transaction', lsn(90)])
  assert.deepEqual(supersedes(groupChanges(rows(50, 0), lsn(50))), [null])
  assert.deepEqual(supersedes(groupChanges(rows(50, 0), lsn(40))), [lsn(50)])
  assert.deepEqual(groupChanges([], null), [])
})
