import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openTestCapture, texts } from '../../test/support/follow-capture.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import type { SnapshotRead } from '../change/change-event.ts'

test('the snapshot’s text of every common type equals the stream’s', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql.unsafe(`
    create type mood as enum ('sad', 'glad');
    create type pair as (a int, b text);
    create domain price as numeric(10,2);
    create table samples (
      c01 boolean, c02 smallint, c03 int, c04 bigint, c05 oid, c06 real, c07 double precision, c08 numeric, c09 numeric(12,4),
      c10 money, c11 char(6), c12 varchar(10), c13 text, c14 "char", c15 name, c16 bytea, c17 date, c18 time(3), c19 timetz,
      c20 timestamp, c21 timestamptz(2), c22 interval, c23 uuid, c24 json, c25 jsonb, c26 xml, c27 inet, c28 cidr, c29 macaddr,
      c30 bit(5), c31 varbit, c32 int4range, c33 tstzrange, c34 nummultirange, c35 point, c36 circle, c37 tsvector, c38 mood,
      c39 pair, c40 price, c41 int[], c42 text[][], c43 bool[], c44 mood[], c45 char(3)[], c46 bytea[], c47 pg_lsn,
      c48 regclass, c49 timestamptz[], c50 jsonpath, c51 double precision[]
    );
    alter table samples replica identity full;
    insert into samples values (
      true, -1, 2, 9007199254740993, 4294967295, 0.1, 1e-10, 'NaN', 1.5,
      '1234.5', 'ab', 'v', E'tab\\tnew\\nback\\\\slash ü 😀', 'x', 'n', '\\x00ff', '2024-02-29', '12:34:56.789', '01:02:03+04',
      '2024-02-29 01:02:03.5', '2024-02-29 01:02:03.45+02', '1 year -2 days 03:00:00.5', gen_random_uuid(), ' {"a" : 1}', '{"b":1,"a":[1]}',
      '<a/>', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03',
      B'10101', B'101', '[1,10]', '["2024-01-01 00:00:00+02",)', '{[1,2),[3,4)}', '(1,2)', '<(1,2),3>', 'a:1 b:2', 'glad',
      '(1,"x y")', 1.2, '[2:3]={1,NULL}', '{{a,"b,c"},{"",NULL}}', '{t,f}', '{sad,glad}', '{a,bc}', '{"\\\\x01"}', '16/B374D848',
      'samples', '{"2024-01-01 00:00:00+05"}', '$.a[*]', '{NaN,-Infinity,0.30000000000000004}'
    );
    insert into samples (c17, c20, c21, c07) values ('infinity', '-infinity', '4713-01-01 00:00:00+00 BC', '-0');
  `)
  const follower = await openTestCapture(t, database, { tables: ['public.samples'] })
  await follower.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  await sql`insert into samples select * from samples`
  await follower.catchUp(sql)
  const read = follower.snapshots().flatMap((piece) => piece.changes)
  const streamed = follower.changes()
  assert.equal(read.length, 2)
  assert.deepEqual(
    read.map((change) => texts(change, 'after')),
    streamed.map((change) => texts(change, 'after')),
  )
  const [first, second] = [read[0]?.relation, streamed[0]]
  assert.ok(second && 'relation' in second)
  assert.equal(first, second.relation, 'both ways describe the table by the same object')
  assert.deepEqual(texts(read[0] as SnapshotRead, 'after')?.['c01'], 't')
  assert.deepEqual(texts(read[0] as SnapshotRead, 'after')?.['c11'], 'ab    ')
})

test('snapshot and stream join without gap or overlap while rows are written', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id bigint generated always as identity primary key, writer int)`
  await sql`insert into items (writer) select 0 from generate_series(1, 5000)`
  let isWriting = true
  const writers = [1, 2, 3].map(async (writer) => {
    while (isWriting) await sql`insert into items (writer) values (${writer})`
  })
  const count = async (): Promise<number> => Number((await sql`select count(*) from items`)[0]?.['count'])
  await waitFor(async () => (await count()) > 5050, { what: 'writers at work before the slot is made' })
  const follower = await openTestCapture(t, database, { tables: ['public.items'], snapshotPieceBytes: 50_000 })
  const atOpening = await count()
  await waitFor(async () => (await count()) > atOpening + 50, { what: 'rows written after the snapshot was taken' })
  await follower.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  isWriting = false
  await Promise.all(writers)
  await follower.catchUp(sql)

  const read = follower.snapshots().flatMap((piece) => piece.changes)
  const inserted = follower.changes()
  const ids = [...read, ...inserted].map((change) => Number(texts(change, 'after')?.['id'])).toSorted((a, b) => a - b)
  const expected = (await sql<{ id: number }[]>`select id::int as id from items order by id`).map((row) => row.id)
  assert.deepEqual(ids, expected)
  assert.ok(read.length >= 5050 && inserted.length >= 50)
  assert.ok(follower.snapshots().length > 2, 'it comes in several pieces')
  const slotPoint = follower.capture.resumeLsn
  assert.ok(
    read.every((change) => change.lsn === slotPoint && change.op === 'r' && change.position.commitLsn < slotPoint),
  )
  assert.ok(inserted.every((change) => change.position.commitLsn >= slotPoint))
})

test('snapshot rows carry Debezium’s markers, with tables in the order given and empty ones at the end', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  for (const table of ['b', 'a', 'c', 'z']) await sql.unsafe(`create table ${table} (id int primary key)`)
  await sql`insert into a values (1), (2), (3)`
  await sql`insert into b values (1)`
  await sql`insert into c values (1), (2)`
  const follower = await openTestCapture(t, database, { tables: ['public.a', 'public.c', 'public.b', 'public.z'] })
  await follower.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  const rows = follower.snapshots().flatMap((piece) => piece.changes)
  assert.deepEqual(
    rows.map((row) => [row.relation.table, row.marker]),
    [
      ['a', 'first'],
      ['a', 'true'],
      ['a', 'last_in_data_collection'],
      ['c', 'first_in_data_collection'],
      ['c', 'last_in_data_collection'],
      ['b', 'last'],
    ],
  )
  assert.deepEqual(
    rows.map((row) => row.position.ordinal),
    [1, 2, 3, 4, 5, 6],
  )
})

test('an empty database has a snapshot that ends', async (t) => {
  const database = await testPostgres(t)
  await database.sql`create table items (id int primary key)`
  const follower = await openTestCapture(t, database, { tables: ['public.items'] })
  const item = await follower.pullUntil(() => true)
  assert.deepEqual(item, { kind: 'snapshot', changes: [], isLast: true, bytes: 0 })
})

test('generated columns are in neither snapshot nor stream, and in the snapshot where asked for', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key, twice int generated always as (id * 2) stored)`
  await sql`insert into items values (1)`
  const follower = await openTestCapture(t, database, { tables: ['public.items'] })
  await sql`insert into items values (2)`
  await follower.catchUp(sql)
  const all = [...follower.snapshots().flatMap((piece) => piece.changes), ...follower.changes()]
  assert.deepEqual(
    all.map((change) => texts(change, 'after')),
    [{ id: '1' }, { id: '2' }],
  )
  const other = await openTestCapture(t, database, {
    tables: ['public.items'],
    includesGenerated: true,
    temporary: true,
    slot: `other_${new URL(database.url).pathname.slice(1)}`,
    publication: 'other',
  })
  await other.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  const rows = other.snapshots().flatMap((piece) => piece.changes)
  assert.deepEqual(
    rows.map((row) => texts(row, 'after')),
    [
      { id: '1', twice: '2' },
      { id: '2', twice: '4' },
    ],
  )
})

test('while it is read, a snapshot keeps nobody else from making a slot', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key)`
  await sql`insert into items values (1)`
  await openTestCapture(t, database, { tables: ['public.items'] })
  const open = await sql`select from pg_stat_activity where backend_xid is not null and datname = current_database()`
  assert.equal(open.length, 0)
})
