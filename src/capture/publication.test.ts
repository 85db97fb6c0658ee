import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import { openTestCapture, outline } from '../../test/support/follow-capture.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { createPostgresPool } from '../runtime/postgres.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { SILENT } from '../runtime/logger.ts'
import { dropPublication, ensurePublication } from './publication.ts'

const publication = 'app_publication'

async function published(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select schemaname || '.' || tablename as name from pg_publication_tables where pubname = ${publication} order by 1`
  return rows.map((row) => row.name)
}

test('a publication is made for exactly the given tables, kept as it is, and given what it lacks', async (t) => {
  const { sql } = await testPostgres(t)
  await sql`create table one (id int primary key)`
  await sql`create schema "Odd ""name"""`
  await sql`create table "Odd ""name"""."Two" (id int primary key)`
  await sql`create table three (id int primary key)`
  const deps = { sql, log: SILENT }
  assert.deepEqual(await ensurePublication(deps, { publication, tables: ['public.one'] }), [])
  assert.deepEqual(await published(sql), ['public.one'])
  const tables = ['public.one', 'Odd "name".Two']
  assert.deepEqual(await ensurePublication(deps, { publication, tables }), ['Odd "name".Two'])
  assert.deepEqual(await ensurePublication(deps, { publication, tables }), [])
  assert.deepEqual((await published(sql)).toSorted(), ['Odd "name".Two', 'public.one'])
  await dropPublication(sql, publication)
  assert.deepEqual(await published(sql), [])
})

test('a publication that leaves operations out is made to publish all of them', async (t) => {
  const { sql } = await testPostgres(t)
  await sql`create table one (id int primary key)`
  await sql.unsafe(`create publication ${publication} for table one with (publish = 'insert')`)
  await ensurePublication({ sql, log: SILENT }, { publication, tables: ['public.one'] })
  const [row] = await sql`select pubupdate, pubdelete, pubtruncate from pg_publication`
  assert.deepEqual({ ...row }, { pubupdate: true, pubdelete: true, pubtruncate: true })
})

test('a publication for all tables has every table', async (t) => {
  const { sql } = await testPostgres(t)
  await sql`create table one (id int primary key)`
  await sql.unsafe(`create publication ${publication} for all tables`)
  assert.deepEqual(await ensurePublication({ sql, log: SILENT }, { publication, tables: ['public.one'] }), [])
})

test('a table without a usable replica identity is never published on our own initiative', async (t) => {
  const { sql } = await testPostgres(t)
  const deps = { sql, log: SILENT }
  await sql`create table keyless (id int)`
  await sql`create table nothing (id int primary key)`
  await sql`alter table nothing replica identity nothing`
  await sql`create table "Index gone" (id int not null)`
  await sql`create unique index gone on "Index gone" (id)`
  await sql`alter table "Index gone" replica identity using index gone`
  await sql`drop index gone`
  await sql`create table parted (id int, at date) partition by range (at)`
  await sql`create table parted_1 partition of parted for values from ('2024-01-01') to ('2025-01-01')`
  const weak = {
    'public.keyless': 'keyless',
    'public.nothing': 'nothing',
    'public.Index gone': '"Index gone"',
    'public.parted': 'parted_1',
  }
  for (const [table, quoted] of Object.entries(weak)) {
    await assert.rejects(ensurePublication(deps, { publication, tables: [table] }), (error: unknown) => {
      assert.ok(error instanceof TrackOpsError)
      assert.equal(error.code, 'REPLICA_IDENTITY_WEAK')
      assert.equal(error.details['command'], `alter table public.${quoted} replica identity full;`)
      return true
    })
  }
  assert.equal((await sql`select from pg_publication`).length, 0)
  await sql.unsafe(`alter table public.keyless replica identity full; create table indexed (id int not null unique);
                    alter table indexed replica identity using index indexed_id_key`)
  await ensurePublication(deps, { publication, tables: ['public.keyless', 'public.indexed'] })
  await ensurePublication(deps, { publication, tables: ['public.nothing'], acceptsWeakIdentity: true })
  assert.deepEqual(await published(sql), ['public.indexed', 'public.keyless', 'public.nothing'])
})

test('a publication that is somebody else’s is used, but not changed', async (t) => {
  const { sql, url } = await testPostgres(t)
  const role = `role_${new URL(url).pathname.slice(1)}`
  await sql`create table one (id int primary key)`
  await sql`create table two (id int primary key)`
  await sql.unsafe(`create publication ${publication} for table one; create role ${role} login`)
  const theirs = new URL(url)
  theirs.username = role
  const mine = createPostgresPool(theirs.href, { applicationName: 'test', maxConnections: 1 })
  try {
    const deps = { sql: mine, log: SILENT }
    assert.deepEqual(await ensurePublication(deps, { publication, tables: ['public.one'] }), [])
    await assert.rejects(ensurePublication(deps, { publication, tables: ['public.two'] }), (error: unknown) => {
      assert.ok(error instanceof TrackOpsError && error.code === 'PUBLICATION_MISSING')
      assert.match(error.message, /alter publication "app_publication" add table public.two/)
      return true
    })
  } finally {
    await mine.end()
    await sql.unsafe(`drop role ${role}`)
  }
})

test('a table that is not there is named', async (t) => {
  const { sql } = await testPostgres(t)
  await assert.rejects(ensurePublication({ sql, log: SILENT }, { publication, tables: ['public.nowhere'] }), {
    code: 'CONFIG_INVALID',
    details: { table: 'public.nowhere' },
  })
})

test('a temporary capture goes on when a table of it is renamed or dropped, and follows the new name', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table renamed (id int primary key)`
  await sql`create table dropped (id int primary key)`
  const follower = await openTestCapture(t, database, {
    tables: ['public.renamed', 'public.dropped'],
    snapshot: 'no_data',
    temporary: true,
    statusIntervalMs: 20,
  })
  await follower.catchUp(sql)
  await sql`alter table renamed rename to other`
  await sql`drop table dropped`
  const [{ at } = { at: '' }] = await sql<{ at: string }[]>`select clock_timestamp()::text as at`
  // The pattern is in two parts, so that this query is not what it looks for.
  const hasLooked = () => sql`
    select from pg_stat_activity where datname = current_database() and query like '%pg_publication' || '_tables%'
       and query_start > ${at}::text::timestamptz limit 1`
  await waitFor(async () => (await hasLooked()).length > 0, { what: 'a look at the publication' })
  await sql`insert into other values (1)`
  await follower.catchUp(sql)
  assert.deepEqual(outline(follower.changes()), ['c other'])
})

test('a publication that loses a table while it is followed: the stream ends, and the slot is made anew', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table kept (id int primary key)`
  await sql`create table taken (id int primary key)`
  const tables = ['public.kept', 'public.taken']
  const follower = await openTestCapture(t, database, { tables, snapshot: 'no_data', statusIntervalMs: 100 })
  const epoch = follower.capture.history.slotEpoch
  await follower.catchUp(sql)
  await sql`alter publication test_publication drop table taken`
  await assert.rejects(
    follower.pullUntil(() => false),
    { code: 'PUBLICATION_MISSING' },
  )
  await follower.stop()
  const again = await openTestCapture(t, database, { tables, snapshot: 'no_data' })
  assert.notEqual(again.capture.history.slotEpoch, epoch, 'whoever comes next must not continue behind the hole')
})

test('a table that joins a publication: what was missed of it makes the slot begin anew', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table old (id int primary key)`
  await sql`create table young (id int primary key)`
  const first = await openTestCapture(t, database, { tables: ['public.old'], snapshot: 'no_data' })
  const epoch = first.capture.history.slotEpoch
  await first.catchUp(sql)
  await first.stop()
  const same = await openTestCapture(t, database, { tables: ['public.old'], snapshot: 'no_data' })
  assert.equal(same.capture.history.slotEpoch, epoch)
  await same.stop()
  const more = await openTestCapture(t, database, { tables: ['public.old', 'public.young'], snapshot: 'no_data' })
  assert.notEqual(more.capture.history.slotEpoch, epoch)
})

test('tables with generated columns and FULL can still be updated once they are published', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  const [server] = await sql<{ version: number }[]>`select current_setting('server_version_num')::int as version`
  await sql`create table stored (id int primary key, twice int generated always as (id * 2) stored)`
  await sql`alter table stored replica identity full`
  const follower = await openTestCapture(t, database, { tables: ['public.stored'], snapshot: 'no_data' })
  await sql`insert into stored values (1)`
  await sql`update stored set id = 2`
  await follower.catchUp(sql)
  const last = follower.changes().at(-1)
  assert.ok(last?.op === 'u')
  if ((server?.version ?? 0) >= 180_000) assert.deepEqual(last.after.texts, ['2', '4'])

  if ((server?.version ?? 0) < 180_000) return
  await sql`create table virtual (id int primary key, twice int generated always as (id * 2) virtual)`
  await sql`alter table virtual replica identity full`
  await assert.rejects(
    openTestCapture(t, database, { tables: ['public.stored', 'public.virtual'], snapshot: 'no_data' }),
    { code: 'REPLICA_IDENTITY_WEAK' },
  )
  await sql`insert into virtual values (1)`
  await sql`update virtual set id = 2`
})
