/** P1 needs it: a change event and a database read of the same row give the same document, to the byte, whatever the types. */
import assert from 'node:assert/strict'
import test from 'node:test'

import { testPostgres } from '../../test/support/postgres.ts'
import { createCatalog } from '../capture/catalog.ts'
import { decodePgoutput } from '../capture/pgoutput.ts'
import { createTransactionAssembler } from '../capture/transaction-assembler.ts'
import { parseLsn } from '../change/lsn.ts'
import { compileViews } from './compiled-view.ts'
import { createDatabaseReads } from './database-read.ts'
import { createPlanner, type PlanItem } from './plan.ts'
import { rowView } from './view.ts'

const COLUMNS: Readonly<Record<string, readonly [type: string, ...values: string[]]>> = {
  boolean_value: ['boolean', 'true', 'false'],
  small: ['smallint', '-7'],
  big: ['bigint', '9007199254740993'],
  exact: ['numeric(12,2)', '12.5', `'NaN'`],
  exact_free: ['numeric', '0.10000', '1e30'],
  single: ['real', '0.1', `'-Infinity'`],
  double_value: ['double precision', '0.1', '1e300'],
  cash: ['money', '1234.5'],
  padded: ['char(5)', `'ab'`],
  short: ['varchar(10)', `'ab '`],
  plain: ['text', `E'tab\\t"quote" \\\\ \\u00e4'`, `''`],
  label: ['name', `'label'`],
  bytes: ['bytea', `'\\x00ff'`],
  day: ['date', `'2026-11-22'`, `'infinity'`, `'0044-03-15 BC'`],
  clock: ['time', `'12:34:56.5'`],
  clock_zone: ['timetz', `'12:34:56+02'`],
  stamp: ['timestamp', `'2026-11-22 12:34:56.5'`, `'-infinity'`],
  stamp_zone: ['timestamptz', `'2026-11-22 12:34:56.123456+02'`],
  span: ['interval', `'1 year -2 days 03:00'`],
  document: ['json', `'{"b": 1,  "a": [1.50]}'`],
  binary_document: ['jsonb', `'{"b": 1, "a": [1.50]}'`],
  id_value: ['uuid', `'550E8400-E29B-41D4-A716-446655440000'`],
  address: ['inet', `'10.0.0.1/8'`],
  bit_value: ['bit varying(5)', `'101'`],
  numbers: ['integer[]', `'{{1,NULL},{3,4}}'`, `'[2:3]={1,2}'`],
  booleans: ['boolean[]', `'{t,f,NULL}'`],
  texts: ['text[]', `array['a,b', 'c"d', null, 'NULL', '']`],
  stamps: ['timestamptz[]', `array[timestamptz '2026-11-22 12:00+00']`],
  feeling: ['mood', `'happy'`],
  feelings: ['mood[]', `array['happy', 'sad']::mood[]`],
  positive: ['positive', '5'],
  positives: ['positive[]', 'array[5, 6]::positive[]'],
  period: ['int4range', `'[1,5]'`],
  pair: ['pair', `row(1, 'x y')`],
  place: ['point', `'(1.5,2)'`],
  object: ['oid', '4294967295'],
}

void test('P1: an event and a read of the same row give the same document, for every common type', async (t) => {
  const { sql } = await testPostgres(t)
  const names = Object.keys(COLUMNS)
  await sql.unsafe(`create type mood as enum ('happy', 'sad'); create domain positive as integer check (value > 0);
    create type pair as (number integer, word text);
    create table public.things (id integer primary key, ${names.map((name) => `${name} ${COLUMNS[name]?.[0]}`).join(', ')});
    create publication things for table public.things`)
  const slot =
    (
      await sql<{ name: string }[]>`select 'equal_' || oid as name from pg_database where datname = current_database()`
    )[0]?.name ?? ''
  await sql`select pg_create_logical_replication_slot(${slot}, 'pgoutput')`
  const most = Math.max(...Object.values(COLUMNS).map((values) => values.length - 1))
  for (let number = 0; number <= most; number++) {
    const values = names.map((name) => COLUMNS[name]?.[1 + number] ?? 'null')
    await sql.unsafe(`insert into public.things values (${number}, ${values.join(', ')})`)
  }

  const columns = ['id', ...names]
  const views = compileViews([
    rowView({
      name: 'thing',
      key: 'thing:{id}',
      table: 'public.things',
      ttlSeconds: 1,
      warm: 'all',
      columns,
      document: (row) => ({ ...row }),
    }),
  ])
  const catalog = createCatalog(sql)
  const assembler = createTransactionAssembler()
  const items: PlanItem[] = []
  const rows = await sql<{ lsn: string; data: Buffer }[]>`
    select lsn::text, data from pg_logical_slot_get_binary_changes(${slot}, null, null, 'proto_version', '1', 'publication_names', 'things')`
  for (const { lsn, data } of rows) {
    const message = decodePgoutput(data, parseLsn(lsn))
    if (message.type === 'relation') assembler.describe(await catalog.resolve(message))
    const item = assembler.push(message, parseLsn(lsn))
    if (item?.kind === 'transaction')
      items.push({
        kind: 'transaction',
        xid64: BigInt(item.transaction.xid),
        changes: item.changes,
        isWhole: item.isWhole,
      })
  }
  const { operations, failed } = createPlanner(views).plan(items)
  assert.deepEqual(failed, [])
  assert.equal(operations.length, most + 1)

  const reads = createDatabaseReads({ sql })
  const view = views.byName('thing')
  const wanted = await Promise.all(operations.map((_, number) => reads.keyOf(view, { id: String(number) })))
  const [read] = await reads.read(view, wanted)
  for (const { key, action } of operations) {
    const found = read?.found.get(key)
    assert.equal(action.kind, 'value')
    assert.equal(found?.kind, 'document')
    if (action.kind === 'value' && found?.kind === 'document') {
      assert.deepEqual(JSON.parse(found.text), JSON.parse(action.document))
      assert.equal(found.text, action.document)
    }
  }
})

void test('keys that are no value of their type name no row, and do not fail the others', async (t) => {
  const { sql } = await testPostgres(t)
  await sql.unsafe(`create table public.things (id uuid primary key, part integer)`)
  const id = '550e8400-e29b-41d4-a716-446655440000'
  await sql`insert into things values (${id}, 1)`
  const views = compileViews([
    rowView({
      name: 'thing',
      key: 'thing:{id}',
      table: 'public.things',
      ttlSeconds: 1,
      warm: 'all',
      columns: ['id'],
      document: (row) => ({ ...row }),
    }),
  ])
  const view = views.byName('thing')
  const reads = createDatabaseReads({ sql })
  const wanted = await Promise.all(
    ['x', id.toUpperCase(), '{"', `${id}'`].map((text) => reads.keyOf(view, { id: text })),
  )
  const found = new Map((await reads.read(view, wanted)).flatMap((read) => [...read.found]))
  assert.deepEqual(
    wanted.map(({ key }) => found.get(key)?.kind),
    ['absent', 'document', 'absent', 'absent'],
  )
})

void test('a key of two columns reads the rows of just these pairs', async (t) => {
  const { sql } = await testPostgres(t)
  await sql.unsafe(
    `create table public.things (a integer, b text, primary key (a, b)); insert into things values (1, 'x'), (1, 'y:z'), (2, 'x')`,
  )
  const views = compileViews([
    rowView({
      name: 'thing',
      key: 'thing:{a}:{b}',
      table: 'public.things',
      ttlSeconds: 1,
      warm: 'all',
      columns: ['a', 'b'],
      document: (row) => ({ ...row }),
    }),
  ])
  const view = views.byName('thing')
  const reads = createDatabaseReads({ sql })
  const wanted = await Promise.all(
    [
      { a: '1', b: 'y:z' },
      { a: '2', b: 'x' },
      { a: '2', b: 'y:z' },
    ].map((parameters) => reads.keyOf(view, parameters)),
  )
  const found = (await reads.read(view, wanted))[0]?.found
  assert.deepEqual(
    wanted.map(({ key }) => found?.get(key)),
    [
      { kind: 'document', text: '{"a":1,"b":"y:z"}' },
      { kind: 'document', text: '{"a":2,"b":"x"}' },
      { kind: 'absent' },
    ],
  )
})

void test('a column that changed its type is read by its new one', async (t) => {
  const { sql } = await testPostgres(t)
  await sql.unsafe(
    `create table public.things (id integer primary key, amount integer); insert into things values (1, 5)`,
  )
  const views = compileViews([
    rowView({
      name: 'thing',
      key: 'thing:{id}',
      table: 'public.things',
      ttlSeconds: 1,
      warm: 'all',
      columns: ['id', 'amount'],
      document: ({ amount }) => ({ amount: amount ?? null }),
    }),
  ])
  const view = views.byName('thing')
  const reads = createDatabaseReads({ sql })
  const wanted = [await reads.keyOf(view, { id: '1' })]
  const textOf = async (): Promise<unknown> => [...((await reads.read(view, wanted))[0]?.found.values() ?? [])]
  assert.deepEqual(await textOf(), [{ kind: 'document', text: '{"amount":5}' }])
  await sql.unsafe(`alter table things alter amount type numeric(10,2), alter id type bigint`)
  assert.deepEqual(await textOf(), [{ kind: 'document', text: '{"amount":"5.00"}' }])
})
