import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test, type TestContext } from 'node:test'

import { defer } from '../../test/support/defer.ts'
import { testPostgres, type TestDatabase } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { tail } from './tail.ts'

interface Line {
  readonly topic: string
  readonly key: Record<string, unknown> | null
  readonly value: {
    readonly before: Record<string, unknown> | null
    readonly after: Record<string, unknown> | null
    readonly source: Record<string, unknown>
    readonly op: string
  } | null
}

interface Tail {
  /** Lines so far; a line that is not JSON fails. */
  lines(): readonly Line[]
  text(): string
  /** Once there are so many lines. */
  count(lines: number): Promise<unknown>
  errors(): string
  /** Once the stream has begun. */
  streaming(): Promise<unknown>
  /** As SIGINT does; gives the exit status. */
  stop(): Promise<number>
  status(): Promise<number>
}

function sink(take: (text: string) => unknown): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      take(chunk.toString())
      done()
    },
  })
}

function startTail(t: TestContext, argv: readonly string[], env: NodeJS.ProcessEnv = {}): Tail {
  let [out, err] = ['', '']
  const stdout = sink((text) => (out += text))
  const stderr = sink((text) => (err += text))
  const interrupt = new AbortController()
  const status = tail([...argv], { stdout, stderr, signal: interrupt.signal, env, cwd: '/' })
  defer(t, async () => {
    interrupt.abort()
    await status
  })
  const stop = (): Promise<number> => {
    interrupt.abort()
    return status
  }
  return {
    lines: () =>
      out
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line),
    text: () => out,
    count: (lines) => waitFor(() => out.split('\n').length > lines, { what: `${lines} lines, but: ${out} ${err}` }),
    errors: () => err,
    streaming: () => waitFor(() => err.split('\n').includes('streaming'), { what: `streaming, but: ${err}` }),
    stop,
    status: () => status,
  }
}

function tailOf(t: TestContext, database: TestDatabase, ...properties: readonly string[]): Tail {
  return startTail(t, ['--database-url', database.url, ...properties.flatMap((pair) => ['--set', pair])])
}

async function leftBehind({ sql }: TestDatabase): Promise<readonly string[]> {
  const rows = await sql<{ name: string }[]>`
    select slot_name::text as name from pg_replication_slots where database = current_database()
    union all select pubname::text from pg_publication`
  return rows.map((row) => row.name)
}

test('a snapshot and then every change, and nothing is left in the database afterwards', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql.unsafe(`create table a (id int primary key, v text); insert into a values (1, 'one'), (2, 'two')`)
  const running = tailOf(t, database, 'topic.prefix=tp')
  await running.streaming()
  assert.deepEqual(
    running.lines().map(({ topic, key, value }) => [topic, key, value?.after, value?.op, value?.source['snapshot']]),
    [
      ['tp.public.a', { id: 1 }, { id: 1, v: 'one' }, 'r', 'first'],
      ['tp.public.a', { id: 2 }, { id: 2, v: 'two' }, 'r', 'last'],
    ],
  )
  assert.equal((await leftBehind(database)).length, 2)
  await sql.unsafe(`insert into a values (3, 'three'); update a set id = 4 where id = 3; delete from a where id = 1`)
  await running.count(8)
  assert.deepEqual(
    running
      .lines()
      .slice(2)
      .map(({ key, value }) => [key, value && [value.op, value.before, value.after]]),
    [
      [{ id: 3 }, ['c', null, { id: 3, v: 'three' }]],
      [{ id: 3 }, ['d', { id: 3, v: null }, null]],
      [{ id: 3 }, null],
      [{ id: 4 }, ['c', null, { id: 4, v: 'three' }]],
      [{ id: 1 }, ['d', { id: 1, v: null }, null]],
      [{ id: 1 }, null],
    ],
  )
  assert.equal(await running.stop(), 0)
  assert.deepEqual(await leftBehind(database), [])
})

const ALL_TYPES = `
  create extension hstore; create extension citext; create extension ltree; create extension isn;
  create type mood as enum ('sad', 'happy'); create domain price as numeric(10,2); create type pair as (a int, b text);
  create table t (id int primary key, bo bool, i2 int2, i8 int8, oi oid, r4 real, f8 float8, ch char(4), na name, ci citext,
    nu numeric, nd numeric(10,2), mo money, dm price, js json, jb jsonb, xm xml, en mood, ine inet, mac macaddr, rg int4range,
    tr tstzrange, ts tsvector, tq tsquery, lt ltree, isb isbn, pt point, bx box, co pair, b1 bit, b9 bit(9), vb varbit,
    by bytea, da date, t3 time(3), t time, ttz timetz, s3 timestamp(3), s timestamp, stz timestamptz, stz0 timestamptz(0),
    iv interval, hs hstore, ia int[], ta text[], na2 numeric(10,2)[], ea mood[], ma money[], dd price[]);
  alter table t replica identity full;`

const ALL_VALUES = `true, 7, 9007199254740993, 4294967295, 0.1, 1e10, 'ab', 'nm', 'CiT', '10.1111', 1.2, 1234.11, 1.2, ' {"a":1}',
  '{"b":1,"a":2}', '<a/>', 'happy', '192.168.0.1', '08:00:2b:01:02:03', '[1,10]', '[2017-06-05 11:29:12.549426+00,)',
  'fox', 'fox', 'a.b', '0-393-04002-X', '(1,1)', '((0,0),(1,1))', '(1,"x y")', '1', '100000001', '101', '\\x00ff',
  '2016-11-04', '13:51:30.123', '13:51:30.123456', '13:51:30+02', '2016-11-04 13:51:30.123', 'infinity',
  '2016-11-04 13:51:30+02', '2016-11-04 11:51:30+00', '1 year 2 mons 3 days 04:05:06.78', 'a=>1,b=>NULL', '{1,NULL,3}',
  '{a,"NULL",NULL}', '{1.2}', '{happy}', '{1.2}', '{1.2}'`

const ALL_JSON =
  '"bo":true,"i2":7,"i8":9007199254740993,"oi":4294967295,"r4":0.1,"f8":1.0E10,"ch":"ab  ","na":"nm","ci":"CiT",' +
  '"nu":{"scale":4,"value":"AYr3"},"nd":"eA==","mo":"AeIT","dm":"eA==","js":" {\\"a\\":1}","jb":"{\\"a\\": 2, \\"b\\": 1}",' +
  '"xm":"<a/>","en":"happy","ine":"192.168.0.1","mac":"08:00:2b:01:02:03","rg":"[1,11)",' +
  '"tr":"[\\"2017-06-05 11:29:12.549426+00\\",)","ts":"\'fox\'","lt":"a.b","isb":"0-393-04002-X",' +
  '"pt":{"x":1.0,"y":1.0,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAPA/","srid":null},"b1":true,"b9":"AQE=","vb":"BQ==","by":"AP8=",' +
  '"da":17109,"t3":49890123,"t":49890123456,"ttz":"11:51:30Z","s3":1478267490123,"s":9223372036825200000,' +
  '"stz":"2016-11-04T11:51:30.000000Z","stz0":"2016-11-04T11:51:30Z","iv":37091106780000,' +
  '"hs":"{\\"a\\":\\"1\\",\\"b\\":null}","ia":[1,null,3],"ta":["a","NULL",null],"na2":["eA=="],"ea":["happy"]}'

test('a row of every type reads the same in the snapshot, in the stream, and as an old row', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql.unsafe(ALL_TYPES)
  await sql.unsafe(`insert into t values (1, ${ALL_VALUES})`)
  const running = tailOf(t, database, 'tombstones.on.delete=false')
  await running.streaming()
  await sql.unsafe(`insert into t values (2, ${ALL_VALUES})`)
  await sql`delete from t where id = 2`
  await running.count(3)
  const texts = running.text().split('\n')
  assert.ok(texts[0]?.includes(`"after":{"id":1,${ALL_JSON}`), texts[0])
  assert.ok(texts[1]?.includes(`"after":{"id":2,${ALL_JSON}`), texts[1])
  assert.ok(texts[2]?.includes(`"before":{"id":2,${ALL_JSON}`), texts[2])
})

test('an unchanged TOAST value is the placeholder; under identity full it is the value', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql.unsafe(`
    create table a (id int primary key, n int, big text); alter table a alter big set storage external;
    create table b (id int primary key, n int, big text); alter table b alter big set storage external;
    alter table b replica identity full;
    insert into a values (1, 1, repeat('x', 10000)); insert into b values (1, 1, repeat('x', 10000));`)
  const running = tailOf(t, database, 'snapshot.mode=no_data')
  await running.streaming()
  await sql.unsafe('update a set n = 2; update b set n = 2;')
  await running.count(2)
  const [a, b] = running.lines()
  assert.deepEqual(a?.value?.after, { id: 1, n: 2, big: '__debezium_unavailable_value' })
  assert.deepEqual(b?.value?.after, { id: 1, n: 2, big: 'x'.repeat(10_000) })
})

test('no table is published whose updates would then fail, unless it is named', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql.unsafe(`
    create table a (id int primary key); create table weak (id int, v int);
    create table gen (id int primary key, a int, b int generated always as (a * 2) stored);
    alter table gen replica identity full; insert into gen values (1, 1); insert into weak values (1, 1);`)
  const running = tailOf(t, database, 'snapshot.mode=no_data')
  await running.streaming()
  assert.match(running.errors(), /public\.weak is left out: .*table\.include\.list/)
  await sql.unsafe('update weak set v = 2; update gen set a = 2; delete from gen;')
  await running.count(3)
  assert.deepEqual(
    running.lines().map(({ topic }) => topic.split('.').at(-1)),
    ['gen', 'gen', 'gen'],
  )
  assert.equal(await running.stop(), 0)
  const named = tailOf(t, database, 'table.include.list=public.weak')
  await named.streaming()
  assert.equal(named.lines().length, 1)
  await assert.rejects(sql`update weak set v = 3`, /replica identity/)
})

test('partitions are followed under their own names, or all under the root', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql.unsafe(`
    create table pt (id int, region text, primary key (id, region)) partition by list (region);
    create table pt_eu partition of pt for values in ('eu'); create table pt_us partition of pt for values in ('us');
    insert into pt values (1, 'eu');`)
  const leaves = tailOf(t, database, 'topic.prefix=tp')
  const root = tailOf(t, database, 'topic.prefix=tp', 'publish.via.partition.root=true')
  await Promise.all([leaves.streaming(), root.streaming()])
  await sql`update pt set region = 'us'`
  await Promise.all([leaves.count(4), root.count(2)])
  const seen = (tail: Tail) => tail.lines().map(({ topic, value }) => `${topic} ${value?.op ?? 'tombstone'}`)
  assert.deepEqual(seen(leaves), [
    'tp.public.pt_eu r',
    'tp.public.pt_eu d',
    'tp.public.pt_eu tombstone',
    'tp.public.pt_us c',
  ])
  assert.ok(seen(root).every((line) => line.startsWith('tp.public.pt ')))
})

test('transaction metadata and messages frame the rows of a real transaction', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table a (id int primary key)`
  const running = tailOf(t, database, 'topic.prefix=tp', 'provide.transaction.metadata=true')
  await running.streaming()
  await sql.begin(async (tx) => {
    await tx`insert into a values (1), (2)`
    await tx`select pg_logical_emit_message(true, 'p', 'c')`
  })
  await running.count(5)
  const lines = running.lines() as unknown as readonly { topic: string; value: Record<string, unknown> }[]
  assert.deepEqual(
    lines.map(({ topic }) => topic),
    ['tp.transaction', 'tp.public.a', 'tp.public.a', 'tp.message', 'tp.transaction'],
  )
  assert.equal(lines[4]?.value['event_count'], 3)
  assert.deepEqual(lines[3]?.value['message'], { prefix: 'p', content: 'Yw==' })
})

test('names with dots and quotes are followed', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql.unsafe('create schema "a . ""b"; create table "a . ""b"."c.d" ("pk . x" int primary key)')
  const running = tailOf(t, database, 'topic.prefix=tp')
  await running.streaming()
  await sql.unsafe('insert into "a . ""b"."c.d" values (1)')
  await running.count(1)
  const [line] = running.lines()
  assert.equal(line?.topic, 'tp.a_.__b.c.d')
  assert.deepEqual(line?.key, { 'pk . x': 1 })
  assert.equal(line?.value?.source['schema'], 'a . "b')
})

test('the snapshot is in the order of table.include.list', async (t) => {
  const database = await testPostgres(t)
  await database.sql.unsafe(`
    create table a (id int primary key); create table b (id int primary key); create table c (id int primary key);
    insert into a values (1); insert into b values (1); insert into c values (1);`)
  const running = tailOf(t, database, 'topic.prefix=tp', 'table.include.list=public.b,public.*')
  await running.streaming()
  assert.deepEqual(
    running.lines().map(({ topic }) => topic),
    ['tp.public.b', 'tp.public.a', 'tp.public.c'],
  )
})

test('what skipped.operations leaves out is not published either, as Debezium has it', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table a (id int primary key)`
  const running = tailOf(t, database, 'skipped.operations=u,t')
  await running.streaming()
  const [publication] = await sql`select pubinsert, pubupdate, pubdelete, pubtruncate from pg_publication`
  assert.deepEqual({ ...publication }, { pubinsert: true, pubupdate: false, pubdelete: true, pubtruncate: false })
})

test('snapshot.include.collection.list reads only some tables, marked as if there were no others', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql.unsafe(`
    create table a (id int primary key); create table b (id int primary key); create table c (id int primary key);
    insert into a values (1); insert into b values (1), (2); insert into c values (1);`)
  const running = tailOf(t, database, 'topic.prefix=tp', 'snapshot.include.collection.list=public.[ab]')
  await running.streaming()
  assert.deepEqual(
    running.lines().map(({ topic, value }) => [topic, value?.source['snapshot']]),
    [
      ['tp.public.a', 'first'],
      ['tp.public.b', 'first_in_data_collection'],
      ['tp.public.b', 'last'],
    ],
  )
})

test('bad usage is exit status 2, what cannot be done is 1, each with one line that says what', async (t) => {
  const database = await testPostgres(t)
  await database.sql`create table a (id int primary key)`
  const url = ['--database-url', database.url]
  const cases: readonly (readonly [argv: readonly string[], status: number, line: RegExp])[] = [
    [['--nonsense'], 2, /--nonsense/],
    [['--set', 'no.such=1'], 2, /unknown property no\.such/],
    [['--set', 'snapshot.mode=always'], 2, /snapshot\.mode; allowed: initial, no_data/],
    [['--database-url', 'nonsense'], 1, /not a PostgreSQL URL/],
    [['--database-url', 'postgres://postgres:secret@127.0.0.1:1/x'], 1, /does not answer/],
    [[...url, '--set', 'table.include.list=public.nope'], 1, /there is no table public\.nope/],
    [[...url, '--set', 'table.include.list=public.n.*'], 1, /there is no table to follow/],
  ]
  for (const [argv, status, line] of cases) {
    const running = startTail(t, argv)
    assert.equal(await running.status(), status, argv.join(' '))
    assert.match(running.errors(), line)
    assert.equal(running.errors().trimEnd().split('\n').length, 1, running.errors())
    assert.ok(!running.errors().includes('secret'))
  }
  assert.deepEqual(await leftBehind(database), [])
})

test('the database is that of DATABASE_URL if no other is given, and names the topics', async (t) => {
  const database = await testPostgres(t)
  await database.sql.unsafe('create table a (id int primary key); insert into a values (1)')
  const running = startTail(t, [], { DATABASE_URL: database.url })
  await running.streaming()
  const [line] = running.lines()
  assert.equal(line?.topic, `${String(line?.value?.source['db'])}.public.a`)
})

test('a reader that goes away ends the tail quietly', async (t) => {
  const database = await testPostgres(t)
  await database.sql.unsafe('create table a (id int primary key); insert into a select generate_series(1, 5000)')
  let err = ''
  const stderr = sink((text) => (err += text))
  const stdout = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  })
  const argv = ['--database-url', database.url]
  assert.equal(await tail(argv, { stdout, stderr, signal: new AbortController().signal, env: {}, cwd: '/' }), 0)
  assert.equal(err.replace('streaming\n', ''), '')
  assert.deepEqual(await leftBehind(database), [])
})

test('--help names every property', async (t) => {
  const running = startTail(t, ['--help'])
  assert.equal(await running.status(), 0)
  assert.match(running.text(), /unavailable\.value\.placeholder/)
})

test('what a killed tail left behind is dropped by the next; what one that runs has is not', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql.unsafe(`create table a (x int); insert into a values (1);
    create table b (id int primary key);
    create publication trackops_tail_0123456789ab for table a;
    create publication trackops_tail_mine for table a`)
  await assert.rejects(sql`update a set x = 2`, /does not have a replica identity/)
  const first = tailOf(t, database)
  await first.streaming()
  assert.match(first.errors(), /trackops_tail_0123456789ab, left behind by a tail that was killed, is dropped/)
  await sql`drop publication trackops_tail_mine`
  await sql`update a set x = 2`

  const second = tailOf(t, database)
  await second.streaming()
  assert.doesNotMatch(second.errors(), /left behind/)
  await sql`insert into b values (1)`
  await Promise.all([first.count(1), second.count(1)])
  assert.deepEqual([await first.stop(), await second.stop()], [0, 0])
  assert.deepEqual(await leftBehind(database), [])
})
