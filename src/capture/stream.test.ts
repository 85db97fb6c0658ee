import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openTestCapture, outline, texts } from '../../test/support/follow-capture.ts'
import { testPostgres } from '../../test/support/postgres.ts'

test('inserts, updates and deletes arrive as whole transactions, in commit order, with their rows', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key, name text, price numeric(10,2))`
  const follower = await openTestCapture(t, database, { tables: ['public.items'], snapshot: 'no_data' })
  await sql`insert into items values (1, 'one', 1.5), (2, null, 2)`
  await sql.begin(async (tx) => {
    await tx`update items set price = 3 where id = 1`
    await tx`delete from items where id = 2`
  })
  await follower.catchUp(sql)

  const [first, second] = follower.transactions()
  assert.deepEqual(outline(first?.changes ?? []), ['c items', 'c items'])
  assert.deepEqual(
    first?.changes.map((change) => texts(change, 'after')),
    [
      { id: '1', name: 'one', price: '1.50' },
      { id: '2', name: null, price: '2.00' },
    ],
  )
  assert.deepEqual(outline(second?.changes ?? []), ['u items', 'd items'])
  assert.deepEqual(
    second?.changes.map((change) => [texts(change, 'before'), texts(change, 'after')]),
    [
      [null, { id: '1', name: 'one', price: '3.00' }],
      [{ id: '2', name: undefined, price: undefined }, null],
    ],
  )
  assert.ok(first && second && first.isWhole && second.isWhole)
  assert.ok(first.endLsn !== null && second.endLsn !== null && first.endLsn < second.endLsn)
  assert.deepEqual(second.transaction.previousCommitEndLsn, first.endLsn)
  assert.deepEqual(
    first.changes.map((change) => change.position),
    [
      { commitLsn: first.transaction.commitLsn, ordinal: 1 },
      { commitLsn: first.transaction.commitLsn, ordinal: 2 },
    ],
  )
})

test('a transaction carries the server’s own xid and commit time', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key)`
  const follower = await openTestCapture(t, database, { tables: ['public.items'], snapshot: 'no_data' })
  const before = Date.now() * 1000
  const [row] = await sql`with written as (insert into items values (1) returning id)
                          select (pg_current_xact_id()::text::bigint & 4294967295)::text as xid from written`
  await follower.catchUp(sql)
  const transaction = follower.transactions()[0]?.transaction
  assert.equal(String(transaction?.xid), row?.['xid'])
  // both clocks are this machine's
  assert.ok(Number(transaction?.commitTimeMicros) >= before - 1000)
  assert.ok(Number(transaction?.commitTimeMicros) <= Date.now() * 1000 + 1000)
})

test('before holds what the replica identity gives: all of it, its key, its index', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table whole (id int primary key, name text, note text)`
  await sql`alter table whole replica identity full`
  await sql`create table keyed (id int primary key, name text)`
  await sql`create table indexed (id int primary key, code text not null unique, name text)`
  await sql`alter table indexed replica identity using index indexed_code_key`
  const tables = ['public.whole', 'public.keyed', 'public.indexed']
  const follower = await openTestCapture(t, database, { tables, snapshot: 'no_data' })
  for (const table of ['whole', 'keyed']) await sql.unsafe(`insert into ${table} (id, name) values (1, 'a')`)
  await sql`insert into indexed values (1, 'x', 'a')`
  for (const table of ['whole', 'keyed', 'indexed']) {
    await sql.unsafe(`update ${table} set name = 'b'`)
    await sql.unsafe(`update ${table} set id = 2`)
    await sql.unsafe(`delete from ${table}`)
  }
  await follower.catchUp(sql)
  const befores = (table: string): unknown =>
    follower
      .changes()
      .filter((change) => 'relation' in change && change.relation.table === table && change.op !== 'c')
      .map((change) => texts(change, 'before'))
  assert.deepEqual(befores('whole'), [
    { id: '1', name: 'a', note: null },
    { id: '1', name: 'b', note: null },
    { id: '2', name: 'b', note: null },
  ])
  assert.deepEqual(befores('keyed'), [null, { id: '1', name: undefined }, { id: '2', name: undefined }])
  const code = { id: undefined, code: 'x', name: undefined }
  assert.deepEqual(befores('indexed'), [null, null, code])
  const kinds = follower
    .changes()
    .filter((change) => change.op === 'd')
    .map((change) => change.before.kind)
  assert.deepEqual(kinds, ['complete', 'partial', 'partial'])
})

test('L3: an unchanged TOAST value is missing from the row, and filled in from the old row under identity FULL', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table plain (id int primary key, big text, n int)`
  await sql`create table whole (id int primary key, big text, n int)`
  await sql`alter table whole replica identity full`
  for (const table of ['plain', 'whole']) await sql.unsafe(`alter table ${table} alter big set storage external`)
  const follower = await openTestCapture(t, database, { tables: ['public.plain', 'public.whole'], snapshot: 'no_data' })
  const big = 'x'.repeat(10_000)
  for (const table of ['plain', 'whole']) {
    await sql.unsafe(`insert into ${table} values (1, $1, 1)`, [big])
    await sql.unsafe(`update ${table} set n = 2`)
  }
  await follower.catchUp(sql)
  const updates = follower.changes().filter((change) => change.op === 'u')
  assert.deepEqual(
    updates.map((change) => [change.relation.table, change.after.kind]),
    [
      ['plain', 'partial'],
      ['whole', 'complete'],
    ],
  )
  assert.deepEqual(
    updates.map((change) => texts(change, 'after')?.['big']),
    [undefined, big],
  )
  assert.deepEqual(
    updates.map((change) => texts(change, 'after')?.['n']),
    ['2', '2'],
  )
})

test('the rows of one COPY share an LSN, and have positions of their own', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key, name text)`
  const follower = await openTestCapture(t, database, { tables: ['public.items'], snapshot: 'no_data' })
  const copy = await sql`copy items from stdin`.writable()
  const finished = new Promise((resolve, reject) => copy.on('finish', resolve).on('error', reject))
  copy.end('1\ta\n2\tb\n3\tc\n')
  await finished
  await follower.catchUp(sql)
  const changes = follower.changes()
  assert.equal(changes.length, 3)
  assert.equal(new Set(changes.map((change) => change.lsn)).size, 1)
  assert.deepEqual(
    changes.map((change) => change.position.ordinal),
    [1, 2, 3],
  )
})

test('a TRUNCATE of several tables is one event each, with those that it cascades to', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table parent (id int primary key)`
  await sql`create table child (id int primary key, parent_id int references parent)`
  await sql`create table other (id int primary key)`
  const tables = ['public.parent', 'public.child', 'public.other']
  const follower = await openTestCapture(t, database, { tables, snapshot: 'no_data' })
  await sql`set client_min_messages = warning`
  await sql`truncate parent, other cascade`
  await follower.catchUp(sql)
  assert.deepEqual(outline(follower.changes()).toSorted(), ['t child', 't other', 't parent'])
})

test('what a savepoint or a transaction rolled back is absent, and xids are top level', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key)`
  const follower = await openTestCapture(t, database, { tables: ['public.items'], snapshot: 'no_data' })
  await sql.begin(async (tx) => {
    await tx`insert into items values (1)`
    await tx
      .savepoint(async (inner) => {
        await inner`insert into items values (2)`
        throw new Error('back')
      })
      .catch(() => undefined)
    await tx.savepoint((inner) => inner`insert into items values (3)`)
  })
  await sql
    .begin(async (tx) => {
      await tx`insert into items values (4)`
      throw new Error('back')
    })
    .catch(() => undefined)
  await follower.catchUp(sql)
  assert.equal(follower.transactions().length, 1)
  assert.deepEqual(
    follower.changes().map((change) => texts(change, 'after')),
    [{ id: '1' }, { id: '3' }],
  )
})

test('a schema change between rows gives each row the columns of its own time', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key, name text)`
  const follower = await openTestCapture(t, database, { tables: ['public.items'], snapshot: 'no_data' })
  await sql`insert into items values (1, 'a')`
  await sql`alter table items add column size int not null default 7`
  await sql`insert into items values (2, 'b')`
  await sql`alter table items drop column name`
  await sql`alter table items rename column size to extent`
  await sql`insert into items values (3, 9)`
  await follower.catchUp(sql)
  assert.deepEqual(
    follower.changes().map((change) => texts(change, 'after')),
    [
      { id: '1', name: 'a' },
      { id: '2', name: 'b', size: '7' },
      { id: '3', extent: '9' },
    ],
  )
})

test('a relation says types below domains, elements of arrays, nullability, defaults, and the key in key order', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create type mood as enum ('sad', 'glad')`
  await sql`create domain price as numeric(10,2)`
  await sql`create domain net_price as price`
  await sql`create table items (b int, a int, cost net_price, moods mood[], name varchar(20) not null default 'x', primary key (a, b))`
  await sql`create table keyless (v text, w text not null)`
  await sql`create unique index z_index on keyless (v)`
  await sql`create unique index a_index on keyless (w)`
  await sql`alter table keyless replica identity full`
  const follower = await openTestCapture(t, database, {
    tables: ['public.items', 'public.keyless'],
    snapshot: 'no_data',
  })
  await sql`insert into items values (1, 2, 3, '{sad}')`
  await sql`insert into keyless values ('v', 'w')`
  await follower.catchUp(sql)
  const [items, keyless] = follower.changes().flatMap((change) => ('relation' in change ? [change.relation] : []))
  assert.deepEqual(
    items?.keyColumns.map((index) => items.columns[index]?.name),
    ['a', 'b'],
  )
  assert.deepEqual(
    keyless?.keyColumns.map((index) => keyless.columns[index]?.name),
    ['w'],
  )
  const column = (name: string): unknown => {
    const { type, isNullable, defaultExpression } = items?.columns[items.columnIndex.get(name) ?? -1] ?? {}
    return [
      type?.name,
      type?.kind,
      type?.modifier,
      type?.element?.name,
      type?.element?.kind,
      isNullable,
      defaultExpression,
    ]
  }
  assert.deepEqual(column('a'), ['int4', 'base', -1, undefined, undefined, false, null])
  assert.deepEqual(column('cost'), ['numeric', 'base', (10 << 16) + 2 + 4, undefined, undefined, true, null])
  assert.deepEqual(column('moods'), ['_mood', 'array', -1, 'mood', 'enum', true, null])
  assert.deepEqual(column('name'), ['varchar', 'base', 24, undefined, undefined, false, "'x'::character varying"])
})

test('a table that is gone by the time its rows are read is described by the stream alone', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key, name text)`
  const follower = await openTestCapture(t, database, { tables: ['public.items'], snapshot: 'no_data' })
  await sql`insert into items values (1, 'a')`
  await sql`drop table items`
  await follower.catchUp(sql)
  const [change] = follower.changes()
  assert.ok(change && 'relation' in change)
  assert.deepEqual(texts(change, 'after'), { id: '1', name: 'a' })
  assert.deepEqual(change.relation.keyColumns, [0])
})

test('logical messages: transactional ones in their transaction, the others by themselves', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key)`
  const follower = await openTestCapture(t, database, { tables: ['public.items'], snapshot: 'no_data' })
  await sql.begin(async (tx) => {
    await tx`insert into items values (1)`
    await tx`select pg_logical_emit_message(true, 'inside', 'one')`
    await tx`select pg_logical_emit_message(false, 'outside', 'two')`
  })
  await follower.catchUp(sql)
  const seen = follower
    .transactions()
    .map(({ transaction, changes }) => [
      transaction.xid === 0,
      changes.map((change) =>
        change.op === 'm' ? [change.prefix, change.isTransactional, change.content.toString()] : change.op,
      ),
    ])
  assert.deepEqual(seen, [
    [true, [['outside', false, 'two']]],
    [false, ['c', ['inside', true, 'one']]],
  ])
})

test('a transaction too large to hold comes in pieces that are not whole, the last with the LSN to ack', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key, name text)`
  const follower = await openTestCapture(t, database, {
    tables: ['public.items'],
    snapshot: 'no_data',
    maxTransactionChanges: 1000,
    maxBufferedMessages: 500,
  })
  await sql`insert into items select g, 'name ' || g from generate_series(1, 4500) g`
  await sql`insert into items values (0, 'next')`
  await follower.catchUp(sql)
  const pieces = follower.transactions()
  assert.deepEqual(
    pieces.map((piece) => [piece.changes.length, piece.isWhole, piece.endLsn !== null]),
    [...Array.from({ length: 17 }, () => [250, false, false]), [250, false, true], [1, true, true]],
  )
  assert.deepEqual(
    pieces.slice(0, -1).flatMap((piece) => piece.changes.map((change) => change.position.ordinal)),
    Array.from({ length: 4500 }, (_, index) => index + 1),
  )
})

test('a replication origin is named in the transactions that it sent', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table items (id int primary key)`
  const follower = await openTestCapture(t, database, { tables: ['public.items'], snapshot: 'no_data' })
  const name = `origin_${new URL(database.url).pathname.slice(1)}`
  const session = await sql.reserve()
  try {
    await session`select pg_replication_origin_create(${name})`
    await session`select pg_replication_origin_session_setup(${name})`
    await session`begin`
    await session`select pg_replication_origin_xact_setup('0/ABCDEF', now())`
    await session`insert into items values (1)`
    await session`commit`
    await session`select pg_replication_origin_session_reset()`
    await session`select pg_replication_origin_drop(${name})`
  } finally {
    session.release()
  }
  await follower.catchUp(sql)
  assert.deepEqual(follower.transactions()[0]?.transaction.origin, { name, lsn: 0xabcdefn })
})
