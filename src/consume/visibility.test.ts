import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import { ownPostgres, testPostgres } from '../../test/support/postgres.ts'
import { untilCommitsWait } from '../../test/support/commits-wait.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import type { History } from '../change/change-event.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { createVisibility } from './visibility.ts'

async function historyOf(sql: Sql): Promise<History> {
  const [row] = await sql<{ id: string; timeline: number }[]>`
    select system_identifier::text as id, timeline_id as timeline from pg_control_system(), pg_control_checkpoint()`
  if (!row) throw new Error('no control data')
  return { systemIdentifier: row.id, timeline: row.timeline, slotEpoch: 'test' }
}

const low = (xid: bigint): number => Number(xid & 0xffff_ffffn)
const signalOf = (t: { readonly signal: AbortSignal }): AbortSignal => t.signal

test('a transaction waits for a synchronous standby that never answers: its change is processed only once readers see it', async (t) => {
  const server = await ownPostgres(t)
  const { sql } = server
  await sql`create table items (id int primary key, status text)`
  await sql`insert into items values (1, 'PENDING')`
  const visibility = createVisibility({ sql, history: await historyOf(sql) })
  await sql`alter system set synchronous_standby_names = 'nobody'`
  await sql`select pg_reload_conf()`
  await untilCommitsWait(sql)

  let xid = 0n
  const committing = sql.begin(async (tx) => {
    await tx`update items set status = 'SHIPPED'`
    const [row] = await tx<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
    xid = BigInt(row?.xid ?? '0')
  })
  await waitFor(() => sql`select from pg_stat_activity where wait_event = 'SyncRep'`, {
    what: 'the commit to wait for the standby',
    until: (rows) => rows.length > 0,
  })
  const [flushed] = await sql<{ isFlushed: boolean }[]>`
    select pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() as "isFlushed"`
  assert.equal(flushed?.isFlushed, true, 'its commit record is where logical decoding reads it')

  let isOver = false
  const waiting = visibility.wait([low(xid)], signalOf(t)).finally(() => (isOver = true))
  let looks = 0
  const seenFirst = visibility.newest()
  await waitFor(
    async () => {
      await visibility.look()
      return ++looks
    },
    // More than it takes until it doubts the transaction: one that is in progress is not of another history.
    { what: 'many looks', until: (count) => count >= 30, intervalMs: 30 },
  )
  assert.equal(isOver, false, 'nobody may process what readers do not see')
  assert.notEqual(visibility.newest(), seenFirst)
  const [row] = await sql<{ status: string }[]>`select status from items`
  assert.equal(row?.status, 'PENDING')

  await sql`alter system reset synchronous_standby_names`
  await sql`select pg_reload_conf()`
  assert.deepEqual(await waiting, new Map([[low(xid), xid]]))
  const [after] = await sql<{ status: string }[]>`select status from items`
  assert.equal(after?.status, 'SHIPPED')
  await committing
})

test('what is visible gets its 64-bit id; one look serves all that it shows', async (t) => {
  const { sql } = await testPostgres(t)
  const visibility = createVisibility({ sql, history: await historyOf(sql) })
  const xids: bigint[] = []
  for (let count = 0; count < 3; count++) {
    const [row] = await sql<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
    xids.push(BigInt(row?.xid ?? '0'))
  }
  const found = await visibility.wait(xids.map(low), signalOf(t))
  assert.deepEqual([...found.values()], xids)
  const seen = visibility.newest()
  await visibility.wait(xids.map(low), signalOf(t))
  assert.equal(visibility.newest(), seen, 'what one snapshot shows, every later one shows')
  assert.deepEqual(await visibility.wait([], signalOf(t)), new Map())
})

test('a transaction that is still to come is of another history', async (t) => {
  const { sql } = await testPostgres(t)
  const visibility = createVisibility({ sql, history: await historyOf(sql) })
  const { snapshot } = await visibility.look()
  await assert.rejects(visibility.wait([low(snapshot.xmax + 100_000n)], signalOf(t)), { code: 'HISTORY_CHANGED' })
})

test('a transaction that was aborted here was committed in another history', async (t) => {
  const { sql } = await testPostgres(t)
  let xid = 0n
  await assert.rejects(
    sql.begin(async (tx) => {
      const [row] = await tx<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
      xid = BigInt(row?.xid ?? '0')
      throw new Error('roll back')
    }),
    /roll back/,
  )
  // Only a snapshot from before its end does not show it: as after a restore, when nothing has been written since.
  const history = await historyOf(sql)
  const { systemIdentifier, timeline } = history
  const snapshot = { snapshot: `${xid}:${xid}:`, insert_lsn: '0/1', system_identifier: systemIdentifier, timeline }
  const stuck = ((...args: Parameters<Sql>) =>
    args[0].join('?').includes('pg_current_snapshot') ? Promise.resolve([snapshot]) : sql(...args)) as unknown as Sql
  const visibility = createVisibility({ sql: stuck, history })
  await assert.rejects(visibility.wait([low(xid)], signalOf(t)), (error: unknown) => {
    assert.ok(error instanceof TrackOpsError)
    assert.deepEqual([error.code, error.details['xid']], ['HISTORY_CHANGED', xid.toString()])
    assert.match(error.message, /aborted/)
    return true
  })
})

test('another server, or another timeline, is another history', async (t) => {
  const { sql } = await testPostgres(t)
  const history = await historyOf(sql)
  for (const other of [
    { ...history, systemIdentifier: '1' },
    { ...history, timeline: history.timeline + 1 },
  ]) {
    await assert.rejects(createVisibility({ sql, history: other }).look(), { code: 'HISTORY_CHANGED' })
  }
})

test('an abort ends the wait', async (t) => {
  const { sql } = await testPostgres(t)
  const visibility = createVisibility({ sql, history: await historyOf(sql) })
  const aborter = new AbortController()
  const started = Promise.withResolvers<number>()
  const finish = Promise.withResolvers<void>()
  const running = sql.begin(async (tx) => {
    const [row] = await tx<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
    started.resolve(low(BigInt(row?.xid ?? '0')))
    await finish.promise
  })
  const waiting = visibility.wait([await started.promise], aborter.signal)
  aborter.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  finish.resolve()
  await running
})

test('a server that is away is no change of history', async (t) => {
  const server = await ownPostgres(t)
  const history = await historyOf(server.sql)
  const visibility = createVisibility({ sql: server.sql, history })
  await server.kill()
  await assert.rejects(visibility.look(), { code: 'POSTGRES_UNREACHABLE' })
  await server.start()
  await waitFor(() => visibility.look(), { what: 'the server to answer' })
})

test('P1: what a slot counts as committed is waited for until readers see it, and nothing else is', async (t) => {
  const { sql } = await testPostgres(t)
  await sql`create table items (id int primary key)`
  const visibility = createVisibility({ sql, history: await historyOf(sql) })
  const begun = Promise.withResolvers<bigint>()
  const commit = Promise.withResolvers<void>()
  const running = sql.begin(async (tx) => {
    await tx`insert into items values (1)`
    const [row] = await tx<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
    begun.resolve(BigInt(row?.xid ?? 0))
    await commit.promise
  })
  const xid = await begun.promise
  const { snapshot } = await visibility.look()
  // A transaction that runs and that the slot does not count is none of its business.
  await visibility.waitForAll({ xmin: xid, xmax: xid + 1n, running: new Set([xid]) }, signalOf(t))
  // Its commit record is written, as logical decoding sees it, and readers do not see it yet.
  let isOver = false
  const before = {
    xmin: snapshot.xmin,
    xmax: xid + 1n,
    running: new Set<bigint>([...snapshot.running].filter((other) => other !== xid)),
  }
  const waiting = visibility.waitForAll(before, signalOf(t)).finally(() => (isOver = true))
  await visibility.look()
  await visibility.look()
  assert.equal(isOver, false)
  commit.resolve()
  await running
  await waiting
})
