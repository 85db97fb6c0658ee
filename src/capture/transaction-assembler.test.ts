import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { StreamItem, TransactionPiece } from '../change/change-event.ts'
import { type Lsn, toLsn } from '../change/lsn.ts'
import type { Relation } from '../change/relation.ts'
import type { PgoutputMessage, Tuple } from './pgoutput-messages.ts'
import { createTransactionAssembler } from './transaction-assembler.ts'

const type = { oid: 25, rootOid: 25, name: 'text', modifier: -1, kind: 'base', element: null } as const
const column = (name: string, isIdentity: boolean) => ({
  name,
  type,
  isIdentity,
  isNullable: true,
  defaultExpression: null,
})
const RELATION: Relation = {
  oid: 7,
  schema: 'public',
  table: 'items',
  replicaIdentity: 'default',
  columns: [column('id', true), column('big', false)],
  keyColumns: [0],
  columnIndex: new Map([
    ['id', 0],
    ['big', 1],
  ]),
}

const at = (lsn: number): Lsn => toLsn(BigInt(lsn))
const begin = (commitLsn: number, xid = 1): PgoutputMessage => ({
  type: 'begin',
  commitLsn: at(commitLsn),
  commitTimeMicros: 5n,
  xid,
})
const commit = (commitLsn: number): PgoutputMessage => ({
  type: 'commit',
  commitLsn: at(commitLsn),
  endLsn: at(commitLsn + 10),
})
const insert = (...newTuple: Tuple): PgoutputMessage => ({ type: 'insert', relationOid: 7, newTuple, bytes: 10 })

function assemble(messages: readonly PgoutputMessage[], options = {}): StreamItem[] {
  const assembler = createTransactionAssembler(options)
  assembler.describe(RELATION)
  return messages.flatMap((message, index) => assembler.push(message, at(index)) ?? [])
}

test('however a transaction is cut, its pieces hold all its changes in order, and only one whole piece is called whole', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30), { maxLength: 6 }), fc.integer({ min: 1, max: 10 }), (sizes, maxChanges) => {
      const messages = sizes.flatMap((size, index) => [
        begin(1000 * (index + 1)),
        ...Array.from({ length: size }, (_, n) => insert(String(n), null)),
        commit(1000 * (index + 1)),
      ])
      const items = assemble(messages, { maxChanges })
      const pieces = items.filter((item): item is TransactionPiece => item.kind === 'transaction')
      for (const [index, size] of sizes.entries()) {
        const mine = pieces.filter((piece) => piece.transaction.commitLsn === at(1000 * (index + 1)))
        const ordinals = mine.flatMap((piece) => piece.changes.map((change) => change.position.ordinal))
        assert.deepEqual(
          ordinals,
          Array.from({ length: size }, (_, n) => n + 1),
        )
        assert.ok(mine.every((piece) => piece.changes.length <= maxChanges && piece.isWhole === (mine.length === 1)))
        assert.deepEqual(
          mine.map((piece) => piece.endLsn),
          mine.map((_, n) => (n === mine.length - 1 ? at(1000 * (index + 1) + 10) : null)),
        )
      }
      assert.equal(items.length - pieces.length, sizes.filter((size) => size === 0).length, 'empty ones are progress')
    }),
  )
})

test('a transaction is cut by its size in bytes, too', () => {
  const items = assemble([begin(100), ...Array.from({ length: 10 }, () => insert('x', null)), commit(100)], {
    maxBytes: 1000,
  })
  assert.ok(items.length > 2)
})

test('a TRUNCATE of more tables than a piece holds loses none of them', () => {
  const truncate: PgoutputMessage = { type: 'truncate', relationOids: Array.from({ length: 9 }, () => 7) }
  const items = assemble([begin(100), insert('a', null), insert('b', null), truncate, commit(100)], { maxChanges: 2 })
  const changes = items.flatMap((item) => (item.kind === 'transaction' ? item.changes : []))
  assert.deepEqual(
    changes.map(({ position }) => position.ordinal),
    Array.from({ length: 11 }, (_, index) => index + 1),
  )
})

test('each transaction knows where the commit before it ended', () => {
  const items = assemble([begin(100), insert('a', null), commit(100), begin(200), insert('b', null), commit(200)])
  assert.deepEqual(
    items.map((item) => item.kind === 'transaction' && item.transaction.previousCommitEndLsn),
    [null, at(110)],
  )
})

test('a value that was not sent comes from the old row if that is all of it, never from a key whose other columns read NULL', () => {
  const update = (kind: 'full' | 'identity'): PgoutputMessage => ({
    type: 'update',
    relationOid: 7,
    oldTuple: { kind, tuple: ['1', kind === 'full' ? 'old' : null] },
    newTuple: ['2', undefined],
    bytes: 1,
  })
  const [item] = assemble([begin(100), update('full'), update('identity'), commit(100)])
  assert.ok(item?.kind === 'transaction')
  const rows = item.changes.map((change) =>
    change.op === 'u' ? [change.before?.texts, change.after.kind, change.after.texts] : [],
  )
  assert.deepEqual(rows, [
    [['1', 'old'], 'complete', ['2', 'old']],
    [['1', undefined], 'partial', ['2', undefined]],
  ])
})

test('what cannot be is refused: rows of unknown relations, of the wrong width, messages out of turn, inserts that lack a value', () => {
  const wrong = (messages: readonly PgoutputMessage[], code: string): void => {
    assert.throws(() => assemble(messages), { code })
  }
  wrong([begin(100), { type: 'insert', relationOid: 8, newTuple: [], bytes: 1 }], 'DECODE')
  wrong([begin(100), insert('a')], 'DECODE')
  wrong([begin(100), insert('a', undefined)], 'DECODE')
  wrong([insert('a', null)], 'POSTGRES_PROTOCOL')
  wrong([commit(100)], 'POSTGRES_PROTOCOL')
  wrong([begin(100), begin(200)], 'POSTGRES_PROTOCOL')
})
