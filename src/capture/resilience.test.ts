import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import { confirmedLsn, type Follower, openTestCapture, slotName, texts } from '../../test/support/follow-capture.ts'
import { ownPostgres, testPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { LSN_ZERO } from '../change/lsn.ts'

const tables = ['public.items']
const options = { tables, snapshot: 'no_data' } as const

async function itemsDatabase(t: Parameters<typeof testPostgres>[0]): ReturnType<typeof testPostgres> {
  const database = await testPostgres(t)
  await database.sql`create table items (id int primary key, name text)`
  return database
}

async function serverLsn(sql: Sql): Promise<bigint> {
  const [row] = await sql<{ lsn: string }[]>`select (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text as lsn`
  return BigInt(row?.lsn ?? '0')
}

/** Each id once, in the order in which it first came: after a reconnection some come again. */
function distinctIds(follower: Follower): number[] {
  return [
    ...new Set(
      follower.changes().flatMap((change) => (change.op === 'c' ? [Number(texts(change, 'after')?.['id'])] : [])),
    ),
  ]
}

test('the walsender is killed again and again: nothing is lost, and only what was not acked comes twice', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const follower = await openTestCapture(t, database, options)
  const slot = slotName(database.url)
  for (let round = 0; round < 3; round++) {
    for (let i = 1; i <= 5; i++) await sql`insert into items values (${round * 5 + i}, 'x')`
    await follower.catchUp(sql)
    const acked = follower.transactions().at(-3)?.endLsn ?? LSN_ZERO
    const pulled = follower.items.length
    follower.capture.ack(acked)
    await sql`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${slot}`
    await sql`insert into items values (${1000 + round}, 'after the kill')`
    await follower.catchUp(sql)
    const since = follower.items.slice(pulled).filter((item) => item.kind === 'transaction')
    assert.ok(
      since.every((piece) => (piece.endLsn ?? 0n) > acked),
      'what was acked does not come again',
    )
    assert.ok(since.length >= 3, 'what was not acked does')
    follower.capture.ack(follower.transactions().at(-1)?.endLsn ?? LSN_ZERO)
  }
  assert.equal(follower.capture.status().reconnections, 3)
  const expected = (await sql<{ id: number }[]>`select id from items order by id`).map((row) => row.id)
  assert.deepEqual(
    distinctIds(follower).toSorted((a, b) => a - b),
    expected,
  )
})

test('the server dies and comes back: the stream goes on', async (t) => {
  const server = await ownPostgres(t)
  const { sql } = server
  await sql`create table items (id int primary key, name text)`
  const follower = await openTestCapture(t, server, options)
  await sql`insert into items values (1)`
  await follower.catchUp(sql)
  const pulling = follower.pullUntil(
    (item) => item.kind === 'transaction' && item.changes.some((c) => texts(c, 'after')?.['id'] === '2'),
  )
  await server.kill()
  await server.start()
  await waitFor(() => sql`insert into items values (2) on conflict do nothing returning id`, {
    what: 'the server to take writes',
  })
  await pulling
  assert.deepEqual(distinctIds(follower), [1, 2])
})

test('a consumer that does not pull: status updates go on, the server keeps the connection, memory stays bounded', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  await sql.unsafe(`alter database ${new URL(database.url).pathname.slice(1)} set wal_sender_timeout = '1s'`)
  const follower = await openTestCapture(t, database, {
    ...options,
    maxBufferedMessages: 100,
    maxTransactionChanges: 100,
  })
  await follower.catchUp(sql)
  // Transactions that fit: one that does not is read to its end first, wherever it is kept meanwhile.
  for (let from = 0; from < 30_000; from += 100) {
    await sql`insert into items select g, repeat('x', 1000) from generate_series(${from}::int + 1, ${from}::int + 100) g`
  }
  await follower.pullUntil((item) => item.kind === 'transaction')
  const walsender = async (): Promise<{ pid: number; lasted: boolean; isBehind: boolean } | undefined> =>
    (
      await sql<{ pid: number; lasted: boolean; isBehind: boolean }[]>`
        select pid, reply_time > backend_start + interval '3 s' as lasted, sent_lsn < pg_current_wal_flush_lsn() as "isBehind"
          from pg_stat_replication where application_name = ${`trackops ${slotName(database.url)}`}`
    )[0]
  const { pid } = await waitFor(walsender, { what: 'the walsender' })
  const heapBefore = process.memoryUsage().rss
  const later = await waitFor(walsender, { what: 'replies over three times the timeout', until: (seen) => seen.lasted })
  assert.equal(later.pid, pid)
  assert.ok(later.isBehind, 'the server holds what is not pulled')
  assert.ok(process.memoryUsage().rss - heapBefore < 20e6)
  await follower.catchUp(sql)
  assert.equal(follower.capture.status().reconnections, 0)
  assert.equal(follower.changes().length, 30_000)
})

test('an idle database whose WAL belongs to other tables advances its slot', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  await sql`create table elsewhere (id int)`
  const follower = await openTestCapture(t, database, options)
  await sql`insert into elsewhere select generate_series(1, 1000)`
  const target = await serverLsn(sql)
  await follower.pullUntil((item) => {
    if (item.kind === 'progress') follower.capture.ack(item.lsn)
    return item.kind === 'progress' && item.lsn >= target
  })
  assert.equal(follower.transactions().length, 0)
  await waitFor(async () => (await confirmedLsn(sql, slotName(database.url))) >= target, {
    what: 'the slot to advance',
  })
})

test('L7: progress that is asked for comes at once, also when there is nothing new', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const follower = await openTestCapture(t, database, options)
  follower.capture.requestProgress()
  await follower.pullUntil((item) => item.kind === 'progress')
  for (let i = 0; i < 3; i++) {
    follower.capture.requestProgress()
    await follower.pullUntil((item) => item.kind === 'progress')
  }
  const lsns = follower.progress().map((item) => item.lsn)
  assert.ok(
    lsns.every((lsn, index) => index === 0 || lsn >= (lsns[index - 1] ?? 0n)),
    'it never goes back',
  )
  assert.ok((lsns.at(-1) ?? 0n) <= (await serverLsn(sql)))
})

test('a progress item never passes a transaction that is still to come', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const follower = await openTestCapture(t, database, { ...options, maxTransactionChanges: 50 })
  let isWriting = true
  const writing = (async () => {
    for (let id = 0; isWriting; id += 200)
      await sql`insert into items select g from generate_series(${id}::int, ${id + 199}::int) g`
  })()
  let reached = LSN_ZERO
  let seen = 0
  await follower.pullUntil((item) => {
    follower.capture.requestProgress()
    if (item.kind === 'progress') reached = item.lsn
    if (item.kind !== 'transaction') return false
    assert.ok(item.transaction.commitLsn >= reached)
    return ++seen === 300
  })
  isWriting = false
  await writing
  assert.ok(follower.progress().length > 0)
})

test('L2: rewind delivers again what was not acked, and nothing that was', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const follower = await openTestCapture(t, database, options)
  for (let id = 1; id <= 4; id++) await sql`insert into items values (${id})`
  await follower.catchUp(sql)
  follower.capture.ack(follower.transactions()[1]?.endLsn ?? LSN_ZERO)
  follower.items.length = 0
  follower.capture.rewind()
  await follower.pullUntil(
    (item) => item.kind === 'transaction' && item.changes.some((c) => texts(c, 'after')?.['id'] === '4'),
  )
  assert.deepEqual(distinctIds(follower), [3, 4])
})

test('a key change is one update whose old row has the old key', async (t) => {
  const database = await itemsDatabase(t)
  const { sql } = database
  const follower = await openTestCapture(t, database, options)
  await sql`insert into items values (1, 'a')`
  await sql`update items set id = 2`
  await follower.catchUp(sql)
  const [, update] = follower.changes()
  assert.equal(update?.op, 'u')
  assert.deepEqual(update && [texts(update, 'before'), texts(update, 'after')], [
    { id: '1', name: undefined },
    { id: '2', name: 'a' },
  ])
})

test('aborting ends a stream that waits', async (t) => {
  const database = await itemsDatabase(t)
  const follower = await openTestCapture(t, database, options)
  const pulling = assert.rejects(
    follower.pullUntil(() => false),
    /ended before/,
  )
  await waitFor(() => follower.capture.status().state === 'streaming', { what: 'the stream to begin' })
  await follower.stop()
  await pulling
  assert.equal(follower.capture.status().state, 'closed')
})
