import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import { confirmedLsn, openTestCapture, outline, slotName, texts } from '../../test/support/follow-capture.ts'
import { ownPostgres, testPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { LSN_ZERO, toLsn } from '../change/lsn.ts'
import { SILENT } from '../runtime/logger.ts'
import { openCapture } from './open-capture.ts'

const tables = ['public.items']

async function itemsDatabase(t: Parameters<typeof testPostgres>[0]): ReturnType<typeof testPostgres> {
  const database = await testPostgres(t)
  await database.sql`create table items (id int primary key)`
  return database
}

/** The consumer has applied the snapshot, and says so. */
async function completeSnapshot(follower: Awaited<ReturnType<typeof openTestCapture>>, sql: Sql): Promise<void> {
  await follower.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  follower.capture.requestProgress()
  await follower.pullUntil((item) => {
    follower.capture.requestProgress()
    return item.kind === 'progress' && item.lsn > follower.capture.resumeLsn
  })
  follower.capture.ack(follower.capture.status().receivedLsn)
  await waitFor(async () => (await sql`select from trackops.slots where snapshot_completed_at is not null`).length, {
    what: 'the snapshot to be noted as complete',
  })
}

test('a capture that is opened again carries on where it was acked, in the same history, without a snapshot', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const first = await openTestCapture(t, database, { tables })
  assert.equal(first.capture.snapshot, 'initial')
  await completeSnapshot(first, sql)
  await sql`insert into items values (1)`
  await first.catchUp(sql)
  const end = first.transactions()[0]?.endLsn ?? LSN_ZERO
  first.capture.ack(end)
  await waitFor(async () => (await confirmedLsn(sql, slotName(database.url))) >= end, {
    what: 'the ack to reach the slot',
  })
  await sql`insert into items values (2)`
  await first.stop()

  const second = await openTestCapture(t, database, { tables })
  assert.equal(second.capture.snapshot, 'none')
  assert.deepEqual(second.capture.history, first.capture.history)
  assert.equal(second.capture.resumeLsn, end)
  await second.catchUp(sql)
  assert.deepEqual(
    second.changes().flatMap((change) => (change.op === 'c' ? [texts(change, 'after')] : [])),
    [{ id: '2' }],
  )
})

test('a snapshot that was not applied begins anew, under another epoch', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  await sql`insert into items values (1)`
  const first = await openTestCapture(t, database, { tables })
  await first.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  // a timer acks where it began: that is no word about the snapshot
  first.capture.ack(first.capture.resumeLsn)
  await first.stop()
  const second = await openTestCapture(t, database, { tables })
  assert.equal(second.capture.snapshot, 'initial')
  assert.notEqual(second.capture.history.slotEpoch, first.capture.history.slotEpoch)
  await second.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  assert.equal(second.snapshots().flatMap((piece) => piece.changes).length, 1)
})

test('a slot that is gone is made anew under another epoch, and whoever opens it is told', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const first = await openTestCapture(t, database, { tables })
  await completeSnapshot(first, sql)
  await first.stop()
  const slot = slotName(database.url)
  await waitFor(() => sql`select pg_drop_replication_slot(${slot})`, { what: 'the slot to be free' })
  const second = await openTestCapture(t, database, { tables })
  assert.equal(second.capture.snapshot, 'slot-lost')
  assert.notEqual(second.capture.history.slotEpoch, first.capture.history.slotEpoch)
})

test('a slot that is dropped while it streams is lost', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const follower = await openTestCapture(t, database, { tables })
  await completeSnapshot(follower, sql)
  await follower.catchUp(sql)
  const slot = slotName(database.url)
  const pulling = follower.pullUntil(() => false)
  const failed = assert.rejects(pulling, { code: 'SLOT_LOST' })
  await waitFor(
    async () => {
      await sql`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${slot}`
      return sql`select pg_drop_replication_slot(${slot})`
    },
    { what: 'the slot to be dropped', intervalMs: 1 },
  )
  await failed
})

test('a publication that is dropped while streaming ends the stream, and the next opening knows that changes were lost', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const follower = await openTestCapture(t, database, { tables })
  await completeSnapshot(follower, sql)
  await sql`insert into items values (1)`
  await follower.catchUp(sql)
  await sql`drop publication test_publication`
  await sql`insert into items values (2)`
  await assert.rejects(
    follower.pullUntil(() => false),
    { code: 'PUBLICATION_MISSING' },
  )
  await follower.stop()
  const second = await openTestCapture(t, database, { tables })
  assert.equal(second.capture.snapshot, 'slot-lost')
  await second.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  assert.equal(second.snapshots().flatMap((piece) => piece.changes).length, 2)
})

test('a slot that another process reads is busy; it is waited for, but not for ever', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const first = await openTestCapture(t, database, { tables })
  await completeSnapshot(first, sql)
  const pulling = first.pullUntil((item) => item.kind === 'transaction')
  await waitFor(
    () =>
      sql`select from pg_replication_slots where active and slot_name = ${slotName(database.url)}`.then(
        (rows) => rows.length,
      ),
    {
      what: 'the first to stream',
    },
  )
  await assert.rejects(openTestCapture(t, database, { tables, slotBusyTimeoutMs: 50 }), { code: 'SLOT_BUSY' })
  const waiting = openTestCapture(t, database, { tables })
  await sql`insert into items values (1)`
  await pulling
  await first.stop()
  const second = await waiting
  await second.catchUp(sql)
  assert.deepEqual(outline(second.changes()), ['c items'])
})

test('a temporary capture leaves neither slot nor publication nor ledger behind', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  await sql`insert into items values (1)`
  const follower = await openTestCapture(t, database, { tables, temporary: true })
  await sql`insert into items values (2)`
  await follower.catchUp(sql)
  assert.equal(follower.snapshots().flatMap((piece) => piece.changes).length, 1)
  assert.deepEqual(outline(follower.changes()), ['c items'])
  await follower.stop()
  await waitFor(
    async () => (await sql`select from pg_replication_slots where slot_name = ${slotName(database.url)}`).length === 0,
    { what: 'the slot to be gone' },
  )
  assert.equal((await sql`select from pg_publication`).length, 0)
  assert.equal((await sql`select to_regclass('trackops.slots') as ledger`)[0]?.['ledger'], null)
})

test('a transaction that does not end delays the slot only for the given time', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const session = await sql.reserve()
  try {
    await session`begin`
    await session`insert into items values (1)`
    const warnings: object[] = []
    const opening = openCapture(
      { sql, log: { ...SILENT, warn: (fields) => void warnings.push(fields) } },
      {
        databaseUrl: database.url,
        slot: slotName(database.url),
        publication: 'test_publication',
        tables,
        slotCreationTimeoutMs: 100,
      },
    )
    await assert.rejects(opening, { code: 'TIMEOUT' })
    const [own] = await session`select pg_backend_pid() as pid`
    const named = warnings.flatMap((fields) =>
      'transactions' in fields ? (fields.transactions as { pid: number }[]) : [],
    )
    assert.ok(
      named.some(({ pid }) => pid === own?.['pid']),
      'it says what it waits for',
    )
  } finally {
    await session`rollback`
    session.release()
  }
  const follower = await openTestCapture(t, database, { tables })
  assert.equal(follower.capture.snapshot, 'initial')
})

test('opening does not wait for a synchronous standby that is not there', async (t) => {
  const server = await ownPostgres(t, { settings: { synchronous_standby_names: 'nobody' } })
  const { sql } = server
  await sql.begin(async (tx) => {
    await tx`set local synchronous_commit = local`
    await tx`create table items (id int primary key)`
    await tx`insert into items values (1)`
  })
  const database = { url: server.url, sql }
  const follower = await openTestCapture(t, database, { tables })
  await completeSnapshot(follower, sql)
  assert.equal(follower.snapshots().flatMap((piece) => piece.changes).length, 1)
})

test('a server with another wal_level is refused with what to do', async (t) => {
  const server = await ownPostgres(t, { settings: { wal_level: 'replica' } })
  await server.sql`create table items (id int primary key)`
  await assert.rejects(openTestCapture(t, server, { tables }), { code: 'WAL_LEVEL' })
})

test('an ack ahead of what was handed on is not told to the server', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const follower = await openTestCapture(t, database, { tables })
  await completeSnapshot(follower, sql)
  const { receivedLsn } = follower.capture.status()
  follower.capture.ack(toLsn(0xffff_ffff_ffffn))
  assert.equal(follower.capture.status().ackedLsn, receivedLsn)
})

test('a slot that somebody else advanced is lost, and stays so for whoever opens it next', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const follower = await openTestCapture(t, database, { tables })
  await completeSnapshot(follower, sql)
  await follower.catchUp(sql)
  await sql`insert into items values (1)`
  const slot = slotName(database.url)
  const failed = assert.rejects(
    follower.pullUntil(() => false),
    { code: 'SLOT_LOST' },
  )
  await waitFor(
    async () => {
      await sql`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${slot}`
      return sql`select pg_replication_slot_advance(${slot}, pg_current_wal_lsn())`
    },
    { what: 'the slot to be advanced', intervalMs: 1 },
  )
  await failed
  await follower.stop()
  const second = await openTestCapture(t, database, { tables })
  assert.equal(second.capture.snapshot, 'slot-lost')
})

test('a capture without a snapshot carries on after a crash, even if nothing was acked yet', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const options = { tables, snapshot: 'no_data' } as const
  const first = await openTestCapture(t, database, options)
  assert.equal(first.capture.snapshot, 'none')
  await sql`insert into items values (1)`
  await first.catchUp(sql)
  await first.stop()
  const second = await openTestCapture(t, database, options)
  assert.deepEqual(second.capture.history, first.capture.history)
  await second.pullUntil((item) => item.kind === 'transaction')
  assert.deepEqual(outline(second.changes()), ['c items'])
})

test('the changes of partitions come under the name of the partitioned table, as its snapshot does', async (t) => {
  const database = await testPostgres(t)
  const { sql } = database
  await sql`create table events (id int, region text, primary key (id, region)) partition by list (region)`
  await sql`create table events_north partition of events for values in ('north')`
  await sql`create table events_south partition of events for values in ('south')`
  await sql`insert into events values (1, 'north'), (2, 'south')`
  const follower = await openTestCapture(t, database, { tables: ['public.events'] })
  await follower.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
  await sql`insert into events values (3, 'south')`
  await sql`update events set region = 'south' where id = 1`
  await sql`delete from events where id = 2`
  await follower.catchUp(sql)
  const read = follower.snapshots().flatMap((piece) => piece.changes)
  assert.deepEqual(outline(read), ['r events', 'r events'])
  assert.deepEqual(outline(follower.changes()), ['c events', 'd events', 'c events', 'd events'])
  assert.deepEqual(
    follower.changes().map((change) => texts(change, change.op === 'd' ? 'before' : 'after')),
    [
      { id: '3', region: 'south' },
      { id: '1', region: 'north' },
      { id: '1', region: 'south' },
      { id: '2', region: 'south' },
    ],
  )
})

test('a slot that the server has invalidated, as it held too much WAL, is made anew', async (t) => {
  const server = await ownPostgres(t, {
    settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '32MB' },
  })
  const { sql } = server
  await sql`create table items (id int primary key)`
  const first = await openTestCapture(t, server, { tables, snapshot: 'no_data' })
  await first.stop()
  await waitFor(
    async () => {
      await sql`select pg_logical_emit_message(false, 'fill', repeat('x', 1000000))`
      await sql`select pg_switch_wal()`
      await sql`checkpoint`
      return (await sql`select from pg_replication_slots where wal_status = 'lost'`).length
    },
    { what: 'the server to invalidate the slot' },
  )
  const second = await openTestCapture(t, server, { tables })
  assert.equal(second.capture.snapshot, 'slot-lost')
  assert.notEqual(second.capture.history.slotEpoch, first.capture.history.slotEpoch)
  await second.pullUntil((item) => item.kind === 'snapshot' && item.isLast)
})
