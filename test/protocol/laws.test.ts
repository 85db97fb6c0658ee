/** Laws that are small enough to be held without a server; docs/invariants.md says where the others are. */
import assert from 'node:assert/strict'
import test from 'node:test'

import { compileViews } from '../../src/cache/compiled-view.ts'
import { createLimiter } from '../../src/cache/limiter.ts'
import { createPlanner } from '../../src/cache/plan.ts'
import { rowView } from '../../src/cache/view.ts'
import type { Column, Relation } from '../../src/change/relation.ts'
import { toLsn } from '../../src/change/lsn.ts'
import type { Transaction } from '../../src/change/change-event.ts'

const column = (name: string, defaultExpression: string | null): Column => ({
  name,
  type: { oid: 25, rootOid: 25, name: 'text', modifier: -1, kind: 'base', element: null },
  isIdentity: true,
  isNullable: true,
  defaultExpression,
})

void test("L5: a NULL stays NULL in a view's document, whatever the column's default is", () => {
  const columns = [column('id', null), column('status', "'PENDING'::text")]
  const relation: Relation = {
    oid: 1,
    schema: 'public',
    table: 'items',
    replicaIdentity: 'full',
    columns,
    keyColumns: [0],
    columnIndex: new Map([
      ['id', 0],
      ['status', 1],
    ]),
  }
  const view = rowView({
    name: 'entity',
    key: 'item:{id}',
    table: 'public.items',
    columns: ['id', 'status'],
    ttlSeconds: 60,
    warm: 'all',
    document: ({ id, status }) => ({ id: id ?? null, status: status === null ? null : 'not null' }),
  })
  const position = { commitLsn: toLsn(2n), ordinal: 1 }
  const transaction: Transaction = {
    xid: 7,
    commitLsn: position.commitLsn,
    commitTimeMicros: 0n,
    previousCommitEndLsn: null,
    origin: null,
  }
  const after = { kind: 'complete', relation, texts: ['1', null] } as const
  const insert = { op: 'c', lsn: toLsn(1n), position, transaction, relation, after } as const
  const { operations } = createPlanner(compileViews([view])).plan([
    { kind: 'transaction', xid64: 7n, changes: [insert], isWhole: true },
  ])
  assert.deepEqual(
    operations.map(({ action }) => action),
    [{ kind: 'value', document: '{"id":"1","status":null}' }],
  )
})

void test('L6: however many keys are missed at once, the database is asked by no more than the limit, in turn', async () => {
  const limiter = createLimiter({ concurrency: 2, queueLength: 3, maxWaitMs: 60_000 })
  const order: number[] = []
  const gates: (() => void)[] = []
  const read = (number: number): Promise<void> =>
    limiter.run(async () => {
      order.push(number)
      await new Promise<void>((resolve) => gates.push(resolve))
    })
  const reads = [1, 2, 3, 4, 5].map(read)
  assert.deepEqual([limiter.running, limiter.waiting], [2, 3])
  await assert.rejects(read(6), { code: 'DATABASE_BUSY' })
  for (let done = 0; done < reads.length; done++) {
    gates[done]?.()
    await reads[done]
    // The place has been handed on; whoever got it begins in a microtask of his own.
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok(limiter.running <= 2)
  }
  assert.deepEqual(order, [1, 2, 3, 4, 5])
  assert.deepEqual([limiter.running, limiter.waiting], [0, 0])
})
