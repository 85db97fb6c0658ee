import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { ChangeEvent } from '../change/change-event.ts'
import { toLsn } from '../change/lsn.ts'
import type { Relation } from '../change/relation.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { openTestCapture } from '../../test/support/follow-capture.ts'
import { createLastChanges } from './last-changes.ts'
import { createTransactionSpool } from './transaction-spool.ts'

const TEXT = { oid: 25, rootOid: 25, name: 'text', modifier: -1, kind: 'base', element: null } as const

const RELATION: Relation = {
  oid: 1,
  schema: 'public',
  table: 't',
  replicaIdentity: 'full',
  columns: ['id', 'value'].map((name) => ({
    name,
    type: TEXT,
    isIdentity: true,
    isNullable: true,
    defaultExpression: null,
  })),
  keyColumns: [0],
  columnIndex: new Map([
    ['id', 0],
    ['value', 1],
  ]),
}

function update(ordinal: number, before: string, after: string): ChangeEvent {
  const lsn = toLsn(BigInt(ordinal))
  const transaction = { xid: 1, commitLsn: lsn, commitTimeMicros: 0n, previousCommitEndLsn: null, origin: null }
  const row = (id: string) => ({ kind: 'complete', relation: RELATION, texts: [id, 'x'] }) as const
  return {
    op: 'u',
    position: { commitLsn: lsn, ordinal },
    lsn,
    transaction,
    relation: RELATION,
    before: row(before),
    after: row(after),
  }
}

test('a change is superseded exactly when a later one touches one of its keys', () => {
  const id = fc.integer({ min: 0, max: 30 }).map(String)
  fc.assert(
    fc.property(fc.array(fc.tuple(id, id), { maxLength: 200 }), (moves) => {
      const changes = moves.map(([before, after], index) => update(index + 1, before, after))
      const last = createLastChanges()
      for (const change of changes) last.note(change)
      for (const [index, change] of changes.entries()) {
        const [before, after] = moves[index] ?? []
        const isTouched = moves
          .slice(index + 1)
          .some((pair) => pair.includes(before ?? '') || pair.includes(after ?? ''))
        assert.equal(last.isSuperseded(change), isTouched)
      }
    }),
  )
})

test('more rows than are kept account of: nothing is said of any', () => {
  const last = createLastChanges({ maxRows: 10_000 })
  for (let row = 1; row <= 20_000; row++) last.note(update(row, String(row), String(row)))
  assert.equal(last.isSuperseded(update(1, '1', '1')), undefined)
})

test('a spool gives back what it was given, from memory and from its file', () => {
  const data = fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.array(data, { maxLength: 60 }), fc.constantFrom(0, 20_000, 10_000_000), (given, memoryBytes) => {
      const spool = createTransactionSpool({ memoryBytes })
      for (const [index, bytes] of given.entries()) spool.append(toLsn(BigInt(index)), bytes)
      const read = Array.from(spool.read(), (entry) => ({ lsn: entry.lsn, data: Buffer.from(entry.data) }))
      spool.close()
      assert.deepEqual(
        read,
        given.map((bytes, index) => ({ lsn: BigInt(index), data: bytes })),
      )
    }),
    { numRuns: 50 },
  )
})

test('a spool takes messages larger than its blocks', () => {
  const spool = createTransactionSpool({ memoryBytes: 1_000_000 })
  const large = Buffer.alloc(5_000_000, 7)
  const given = [Buffer.from('before'), large, Buffer.from('between'), large, Buffer.from('after')]
  for (const bytes of given) spool.append(toLsn(1n), bytes)
  assert.deepEqual(
    Array.from(spool.read(), (entry) => entry.data.length),
    given.map((bytes) => bytes.length),
  )
  spool.close()
})

test('the pieces of a large transaction say which state of a row is the last', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table numbers (id int primary key, value text)`
  await sql`alter table numbers replica identity full`
  const follower = await openTestCapture(t, database, { tables: ['public.numbers'], maxTransactionChanges: 100 })
  await sql.begin(async (tx) => {
    await tx`insert into numbers select nr, 'first' from generate_series(1, 1000) nr`
    await tx`alter table numbers add column added int`
    await tx`update numbers set value = 'second' where id <= 300`
    await tx`update numbers set id = id + 10000 where id <= 10`
    await tx`delete from numbers where id = 1000`
  })
  await sql`insert into numbers values (0, 'behind')`

  await follower.catchUp(sql)
  const pieces = follower.transactions()
  const whole = pieces.pop()
  assert.equal(whole?.changes.length, 1, 'what comes behind is whole again')
  const changes = pieces.flatMap((piece) => piece.changes)
  assert.deepEqual(
    changes.map((change) => change.position.ordinal),
    Array.from({ length: 1311 }, (_, index) => index + 1),
    'every change once, in order',
  )
  assert.deepEqual(
    pieces.map((piece) => piece.endLsn !== null),
    pieces.map((_, index) => index === pieces.length - 1),
  )
  const isSuperseded = (ordinal: number): boolean | undefined => changes[ordinal - 1]?.isSuperseded
  assert.equal(isSuperseded(5), true, 'inserted, changed later')
  assert.equal(isSuperseded(300), true)
  assert.equal(isSuperseded(301), false, 'inserted, and that was all')
  assert.equal(isSuperseded(1000), true, 'inserted, deleted later')
  assert.equal(isSuperseded(1005), true, 'updated, then moved to another key')
  assert.equal(isSuperseded(1300), false)
  assert.equal(isSuperseded(1301), false)
  assert.equal(isSuperseded(1311), false)
  const moved = changes[1300]
  assert.equal(moved?.op, 'u')
  assert.equal(moved?.op === 'u' ? moved.after.texts.length : 0, 3, 'described anew in between')
})
