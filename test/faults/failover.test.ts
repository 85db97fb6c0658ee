/**
 * Replication to a standby is asynchronous unless somebody demands more: what it lacks when it is promoted never was, though the cache
 * has it, and who follows the events has heard of it. That cannot be taken back: what the inventory reserved for such an order stays.
 */
import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { connectReplication } from '../../src/capture/replication-connection.ts'
import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { copyRunning, writeServerFile } from '../support/copy-postgres.ts'
import { defer } from '../support/defer.ts'
import { type OwnPostgres, ownPostgres } from '../support/postgres.ts'
import { tcpProxy } from '../support/tcp-proxy.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { anOrderIsConfirmed, change, assertEachEventOnce, slotIsContinued } from './orders-and-events.ts'

type Sql = TestSystem['sql']

interface Failover {
  readonly name: string
  /** Somebody has made it a failover slot (PostgreSQL 17): it is on the standby, too. */
  readonly isSlotThere: boolean
  readonly areChangesLost: boolean
  /** The address leads there only once it is promoted and has written past where the first one was: by LSNs alone nothing is amiss. */
  readonly isSeenLate?: boolean
}

const FAILOVERS: readonly Failover[] = [
  { name: 'that has all changes and no slot', isSlotThere: false, areChangesLost: false },
  { name: 'that has all changes and the slot', isSlotThere: true, areChangesLost: false },
  { name: 'that lacks the last changes', isSlotThere: false, areChangesLost: true },
  {
    name: 'that lacks the last changes, has the slot, and has written past them',
    isSlotThere: true,
    areChangesLost: true,
    isSeenLate: true,
  },
]

test('a failover to a standby, under load: the system goes on by itself, nothing is stale, every order has its events', async (t) => {
  let primary = await ownPostgres(t)
  const address = await tcpProxy(t, primary.port)
  const url = new URL(primary.url)
  url.port = String(address.port)
  const sql = createPostgresPool(url.href, { applicationName: 'trackops-test' })
  defer(t, () => sql.end({ timeout: 1 }))
  const system = await testSystem(t, { source: { url: url.href, sql } })

  for (const { name, isSlotThere, areChangesLost, isSeenLate = false } of FAILOVERS) {
    await t.test(`to one ${name}`, async () => {
      await change(sql)
      await caughtUp(system)
      if (isSlotThere) await makeFailoverSlot(system)
      const standby = await standbyOf(t, primary)
      if (isSlotThere) await slotCameAlong(primary, standby, system.config.source.slot)
      const load = changeUntilStopped(sql)
      defer(t, () => load.pause())
      await load.progress()
      if (areChangesLost) {
        await standby.sql`alter system set primary_conninfo = ''`
        await standby.sql`select pg_reload_conf()`
        await waitFor(() => primary.sql`select from pg_stat_replication where application_name = 'walreceiver'`, {
          what: 'the standby to hear no more',
          until: (rows) => rows.length === 0,
        })
        // Not loaded: this is for the copy that the next standby is made of.
        await standby.sql`alter system reset primary_conninfo`
        await load.progress()
      } else {
        await load.pause()
        await hasAll(primary, standby)
      }
      await load.pause()
      await caughtUp(system)
      const [last] = await sql<{ id: string }[]>`select id::text from orders order by created_at desc limit 1`
      assert.equal(await system.redis.exists(`order:status:${last?.id}`), 1)

      const end = await walEnd(primary)
      await primary.kill()
      if (isSeenLate) {
        await standby.sql`select pg_promote()`
        await changeUntilPast(standby, end)
        address.to(standby.port)
        load.resume()
      } else {
        load.resume()
        address.to(standby.port)
        await waitFor(() => statusOf(system), {
          what: 'the system to say that it waits for the promotion',
          until: ({ isReady, stream }) => !isReady && /this server is a standby/.test(stream.reason ?? ''),
        })
        await standby.sql`select pg_promote()`
      }
      await load.progress()
      await load.pause()
      primary = standby

      await assertEachEventOnce(system)
      const [kept] = await sql<{ n: number }[]>`select count(*)::int as n from orders where id = ${last?.id ?? ''}`
      assert.equal(kept?.n, areChangesLost ? 0 : 1)
      if (areChangesLost)
        assert.equal(await system.redis.exists(`order:status:${last?.id}`), 0, 'an order that never was')
      await anOrderIsConfirmed(system)
      await caughtUp(system)
      await assertNothingStale(system)
    })
  }
  // While its database is there.
  await system.stop()
})

async function standbyOf(t: TestContext, primary: OwnPostgres): Promise<OwnPostgres> {
  await primary.sql`select pg_create_physical_replication_slot('standby', true)`
  const standby = await ownPostgres(t, {
    settings: {
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres dbname=postgres`,
      primary_slot_name: 'standby',
      hot_standby_feedback: 'on',
      sync_replication_slots: 'on',
    },
    async prepare(directory) {
      await copyRunning(primary.sql, primary.directory, directory)
      // As pg_basebackup does: slots are the server's own.
      const slots = join(directory, 'pg_replslot')
      for (const slot of readdirSync(slots)) rmSync(join(slots, slot), { recursive: true })
      writeServerFile(directory, 'standby.signal')
    },
  })
  await hasAll(primary, standby)
  return standby
}

async function walEnd({ sql }: OwnPostgres): Promise<string> {
  const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  return row?.lsn ?? assert.fail('no LSN')
}

async function changeUntilPast({ sql }: OwnPostgres, lsn: string): Promise<void> {
  await waitFor(
    async () => {
      await change(sql)
      return await sql`select where pg_current_wal_flush_lsn() > ${lsn}::pg_lsn`
    },
    { what: 'the new primary to have written past the old one', until: (rows) => rows.length > 0 },
  )
}

async function hasAll(primary: OwnPostgres, standby: OwnPostgres): Promise<void> {
  const end = await walEnd(primary)
  await waitFor(
    async () => (await standby.sql`select pg_last_wal_replay_lsn() >= ${end}::pg_lsn as ok`)[0]?.['ok'] === true,
    { what: 'the standby to have all that the primary has' },
  )
}

/** The capture makes its slot without this; an administrator may add it while nobody reads the slot. */
async function makeFailoverSlot(system: TestSystem): Promise<void> {
  const { slot } = system.config.source
  await slotIsContinued(system.sql)
  await system.stop()
  await waitFor(
    async () => {
      const connection = await connectReplication({
        databaseUrl: system.urls.source,
        applicationName: 'trackops-test',
        isReplication: true,
      })
      try {
        await connection.query(`ALTER_REPLICATION_SLOT ${slot} (FAILOVER)`)
        return true
      } finally {
        connection.close()
      }
    },
    { what: 'the slot to be free' },
  )
  await system.restart()
}

/** It comes along once its reader has got past where the standby's WAL begins. */
async function slotCameAlong(primary: OwnPostgres, standby: OwnPostgres, slot: string): Promise<void> {
  await waitFor(
    async () => {
      await primary.sql`select pg_log_standby_snapshot()`
      await change(primary.sql)
      return await standby.sql`select from pg_replication_slots where slot_name = ${slot} and synced and not temporary`
    },
    { what: 'the slot to come along', until: (rows) => rows.length > 0, intervalMs: 200, timeoutMs: 30_000 },
  )
}

interface Load {
  /** Resolves when orders were changed some times more. */
  progress(): Promise<void>
  pause(): Promise<void>
  resume(): void
}

/** What fails is not tried again: a commit that nobody confirmed may be there or not. */
function changeUntilStopped(sql: Sql): Load {
  let changes = 0
  let going: Promise<void> | null = null
  let isGoing = false
  const go = async (): Promise<void> => {
    while (isGoing) {
      await change(sql).then(
        () => changes++,
        () => undefined,
      )
    }
  }
  const load: Load = {
    async progress() {
      const from = changes
      await waitFor(() => changes > from + 10, { what: 'orders to be changed' })
    },
    async pause() {
      isGoing = false
      await going
    },
    resume() {
      isGoing = true
      going = go()
    },
  }
  load.resume()
  return load
}
