import assert from 'node:assert/strict'
import test from 'node:test'

import type { ChangeEvent, SnapshotRead } from '../change/change-event.ts'
import { toLsn } from '../change/lsn.ts'
import type { Column, ColumnType, Relation } from '../change/relation.ts'
import type { ColumnText, RowImage } from '../change/row-image.ts'
import { compileViews } from './compiled-view.ts'
import { createPlanner, type Plan, type PlanItem } from './plan.ts'
import { SHOP_VIEWS } from './protocol-fixture.ts'
import { queryView, rowView, type View } from './view.ts'

const type = (name: string): ColumnType => ({ oid: 25, rootOid: 25, name, modifier: -1, kind: 'base', element: null })
const COLUMNS = ['id', 'owner', 'status', 'note'] as const

function relationWith(identity: readonly string[], noteType = 'text'): Relation {
  const columns = COLUMNS.map((name): Column => ({
    name,
    type: type(name === 'note' ? noteType : 'text'),
    isIdentity: identity.includes(name),
    isNullable: true,
    defaultExpression: null,
  }))
  return {
    oid: 1,
    schema: 'public',
    table: 'items',
    replicaIdentity: identity.length === COLUMNS.length ? 'full' : 'default',
    columns,
    keyColumns: [0],
    columnIndex: new Map(COLUMNS.map((name, index) => [name, index])),
  }
}
const FULL = relationWith(COLUMNS)
const DEFAULT = relationWith(['id'])

type Texts = Partial<Record<(typeof COLUMNS)[number], ColumnText>>
const complete = (texts: Texts, relation = FULL): Extract<RowImage, { kind: 'complete' }> => ({
  kind: 'complete',
  relation,
  texts: COLUMNS.map((name) => texts[name] ?? null),
})
const partial = (texts: Texts, relation = FULL): RowImage => ({
  kind: 'partial',
  relation,
  texts: COLUMNS.map((name) => texts[name]),
})

let ordinal = 0
function common(
  relation: Relation,
  lsn: number,
): Pick<Extract<ChangeEvent, { op: 't' }>, 'position' | 'lsn' | 'transaction' | 'relation'> {
  const commitLsn = toLsn(BigInt(lsn))
  return {
    relation,
    lsn: toLsn(BigInt(lsn)),
    position: { commitLsn, ordinal: ++ordinal },
    transaction: { xid: 1, commitLsn, commitTimeMicros: 0n, previousCommitEndLsn: null, origin: null },
  }
}
const insert = (texts: Texts, lsn = 10): ChangeEvent => ({ op: 'c', ...common(FULL, lsn), after: complete(texts) })
const update = (before: RowImage | null, after: RowImage, lsn = 10): ChangeEvent => ({
  op: 'u',
  ...common(after.relation, lsn),
  before,
  after,
})
const remove = (before: RowImage, lsn = 10): ChangeEvent => ({ op: 'd', ...common(before.relation, lsn), before })
const transaction = (xid64: number, ...changes: ChangeEvent[]): PlanItem => ({
  kind: 'transaction',
  xid64: BigInt(xid64),
  changes,
  isWhole: true,
})

function planOf(names: readonly string[], items: readonly PlanItem[], more: readonly View[] = []): Plan {
  return createPlanner(compileViews([...SHOP_VIEWS.filter(({ name }) => names.includes(name)), ...more])).plan(items)
}
const inShort = (plan: Plan): unknown[] =>
  plan.operations.map(({ key, action, lsn, xids }) => [
    key,
    action.kind === 'value'
      ? action.document
      : action.kind === 'members'
        ? action.members.map(({ field, document }) => [field, document])
        : action.kind,
    Number(lsn),
    xids.map(Number),
  ])

const document = (id: string, status: string): string => JSON.stringify({ id, status })

void test('one operation a key: the last value, the greatest LSN, every transaction', () => {
  const plan = planOf(
    ['entity'],
    [
      transaction(7, insert({ id: '1', status: 'A' }, 10)),
      transaction(8, remove(complete({ id: '1', status: 'A' }), 80)),
      transaction(9, insert({ id: '1', status: 'B' }, 70)),
    ],
  )
  assert.deepEqual(inShort(plan), [['item:1', document('1', 'B'), 80, [7, 8, 9]]])
})

void test('a row whose key changes leaves its old key', () => {
  const plan = planOf(
    ['entity'],
    [transaction(7, update(complete({ id: '1', status: 'A' }), complete({ id: '2', status: 'A' })))],
  )
  assert.deepEqual(inShort(plan), [
    ['item:1', 'gone', 10, [7]],
    ['item:2', document('2', 'A'), 10, [7]],
  ])
})

void test('a row that changes owner leaves one list and joins the other; without owner it is in none', () => {
  const row = (owner: string | null, id = '1'): RowImage => complete({ id, owner, status: 'A' })
  const moved = planOf(['by-owner'], [transaction(7, update(row('ann'), row('bob')))])
  assert.deepEqual(inShort(moved), [
    ['items:owner:ann', [['1', null]], 10, [7]],
    ['items:owner:bob', [['1', document('1', 'A')]], 10, [7]],
  ])
  const freed = planOf(['by-owner'], [transaction(7, update(row('ann'), row(null)))])
  assert.deepEqual(inShort(freed), [['items:owner:ann', [['1', null]], 10, [7]]])
  const renamed = planOf(['by-owner'], [transaction(7, update(row('ann'), row('ann', '2')))])
  assert.deepEqual(inShort(renamed), [
    [
      'items:owner:ann',
      [
        ['1', null],
        ['2', document('2', 'A')],
      ],
      10,
      [7],
    ],
  ])
})

void test('an update without an old row keeps its key where the key is the identity, and forgets the view where it is not', () => {
  const after = complete({ id: '1', owner: 'ann', status: 'A' }, DEFAULT)
  assert.deepEqual(inShort(planOf(['entity'], [transaction(7, update(null, after))])), [
    ['item:1', document('1', 'A'), 10, [7]],
  ])
  const plan = planOf(['by-owner', 'count'], [transaction(7, update(null, after))])
  assert.deepEqual(
    plan.forgotten.map(({ view, reason }) => [view.name, reason]),
    [
      ['by-owner', 'old-values-missing'],
      ['count', 'old-values-missing'],
    ],
  )
})

void test('a deletion that tells only the identity removes the row, and forgets the lists that it cannot name', () => {
  const plan = planOf(['entity', 'by-owner'], [transaction(7, remove(partial({ id: '1' }, DEFAULT)))])
  assert.deepEqual(inShort(plan), [['item:1', 'gone', 10, [7]]])
  assert.deepEqual(
    plan.forgotten.map(({ view }) => view.name),
    ['by-owner'],
  )
})

const noteView = rowView({
  name: 'note',
  key: 'note:{id}',
  table: 'public.items',
  ttlSeconds: 1,
  warm: 'all',
  columns: ['id', 'note'],
  document: ({ note }) => ({ note: note ?? null }),
})

void test('L3: an unchanged TOAST value is the old one where the event has it, else the row is refreshed', () => {
  const after = partial({ id: '1', owner: 'ann', status: 'B' })
  const known = planOf([], [transaction(7, update(complete({ id: '1', note: 'long' }), after))], [noteView])
  assert.deepEqual(inShort(known), [['note:1', '{"note":"long"}', 10, [7]]])
  const unknown = planOf(['entity'], [transaction(7, update(partial({ id: '1' }), after))], [noteView])
  assert.deepEqual(inShort(unknown), [
    ['item:1', document('1', 'B'), 10, [7]],
    ['note:1', 'invalidate', 10, [7]],
  ])
})

void test('L4: a function that throws, and a value that does not decode, fail their own keys only', () => {
  const secret = rowView({
    ...noteView,
    name: 'throws',
    key: 'throws:{id}',
    document: ({ note }) => {
      if (note === 'bad') throw new Error(`about ${String(note)}`)
      return {}
    },
  })
  const plan = planOf(
    ['entity'],
    [transaction(7, insert({ id: '1', status: 'A', note: 'bad' }), insert({ id: '2', status: 'A', note: 'good' }))],
    [secret],
  )
  assert.deepEqual(inShort(plan), [
    ['item:1', document('1', 'A'), 10, [7]],
    ['throws:1', 'invalidate', 10, [7]],
    ['item:2', document('2', 'A'), 10, [7]],
    ['throws:2', '{}', 10, [7]],
  ])
  assert.deepEqual(
    plan.failed.map(({ keys }) => keys),
    [['throws:1']],
  )
  assert.doesNotMatch(String(plan.failed[0]?.error), /about/)

  const json = relationWith(COLUMNS, 'json')
  const broken: ChangeEvent = { op: 'c', ...common(json, 10), after: complete({ id: '3', note: '{not json' }, json) }
  assert.deepEqual(
    planOf([], [transaction(7, broken)], [noteView]).failed.map(({ keys }) => keys),
    [['note:3']],
  )
})

void test('a view may not name its members as metadata', () => {
  const view = rowView({ ...noteView, document: () => ({ _v: 'mine' }) })
  assert.equal(planOf([], [transaction(7, insert({ id: '1' }))], [view]).failed.length, 1)
})

void test('a document of null is no entry', () => {
  const view = rowView({ ...noteView, document: () => null })
  assert.deepEqual(inShort(planOf([], [transaction(7, insert({ id: '1' }))], [view])), [['note:1', 'gone', 10, [7]]])
})

void test('a piece of a transaction invalidates and never warms', () => {
  const piece: PlanItem = {
    kind: 'transaction',
    xid64: 7n,
    isWhole: false,
    changes: [insert({ id: '1', owner: 'ann', status: 'A' })],
  }
  assert.deepEqual(inShort(planOf(['entity', 'by-owner'], [piece])), [
    ['item:1', 'invalidate', 10, [7]],
    ['items:owner:ann', 'invalidate', 10, [7]],
  ])
})

void test('snapshot rows order a fill for policy all, and are never a value', () => {
  const row: SnapshotRead = {
    op: 'r',
    ...common(FULL, 10),
    after: complete({ id: '1', owner: 'ann', status: 'A' }),
    marker: 'true',
  }
  const plan = planOf(['entity', 'hot', 'cold', 'by-owner', 'count'], [{ kind: 'snapshot', changes: [row] }])
  assert.deepEqual(inShort(plan), [['item:1', 'prewarm', 10, []]])
})

void test('a TRUNCATE ends what came before it in the same call, and what comes after it stays', () => {
  const truncate: ChangeEvent = { op: 't', ...common(FULL, 20) }
  const plan = planOf(
    ['entity', 'count'],
    [transaction(7, insert({ id: '1', status: 'A' }, 10), truncate, insert({ id: '2', status: 'A' }, 30))],
  )
  assert.deepEqual(
    plan.truncated.map(({ view, lsn }) => [view.name, Number(lsn)]),
    [['entity', 20]],
  )
  assert.deepEqual(
    plan.forgotten.map(({ view, reason }) => [view.name, reason]),
    [['count', 'truncated']],
  )
  assert.deepEqual(
    inShort(plan).filter((one) => String((one as unknown[])[0]).startsWith('item')),
    [
      ['item:1', 'invalidate', 20, [7]],
      ['item:2', document('2', 'A'), 30, [7]],
    ],
  )
})

void test('a dependency names its keys by the old row and by the new one; one that cannot say forgets the view', () => {
  const moved = transaction(7, update(complete({ id: '1', owner: 'ann' }), complete({ id: '1', owner: 'bob' })))
  assert.deepEqual(inShort(planOf(['count'], [moved])), [
    ['count:ann', 'invalidate', 10, [7]],
    ['count:bob', 'invalidate', 10, [7]],
  ])
  const blind = queryView({
    name: 'top',
    key: 'top:{n}',
    sql: 'select 1',
    ttlSeconds: 1,
    warm: 'none',
    dependsOn: [{ table: 'public.items', columns: [] }],
  })
  assert.deepEqual(
    planOf([], [moved], [blind]).forgotten.map(({ view, reason }) => [view.name, reason]),
    [['top', 'no-keys']],
  )
})

void test('a logical message and a table of no view mean nothing', () => {
  const message: ChangeEvent = {
    op: 'm',
    lsn: toLsn(1n),
    position: { commitLsn: toLsn(1n), ordinal: 1 },
    transaction: common(FULL, 1).transaction,
    isTransactional: true,
    prefix: 'p',
    content: Buffer.alloc(0),
  }
  const other = { ...FULL, table: 'others' }
  assert.deepEqual(
    planOf(['entity'], [transaction(7, message, { op: 'c', ...common(other, 1), after: complete({ id: '1' }, other) })])
      .operations,
    [],
  )
})
