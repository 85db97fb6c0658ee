import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { type OwnPostgres, ownPostgres } from '../support/postgres.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { assertEachEventOnce, change } from './orders-and-events.ts'

interface Stage {
  readonly system: TestSystem
  readonly source: OwnPostgres
  readonly sql: TestSystem['sql']
  readonly slot: string
  readonly publication: string
}

interface Fault {
  readonly name: string
  readonly settings?: Readonly<Record<string, string>>
  /** Changes orders and breaks something, in whatever order. */
  readonly run: (stage: Stage) => Promise<void>
}

const FAULTS: readonly Fault[] = [
  {
    name: 'PostgreSQL killed under writers',
    async run({ source, sql }) {
      const writers = Array.from({ length: 4 }, async () => {
        for (let n = 0; n < 1000; n++) await unlessDeadlocked(() => sql.begin(async (tx) => await change(tx)))
      })
      for (const writer of writers) writer.catch(() => undefined)
      await unlessDeadlocked(() => change(sql))
      await source.kill()
      await Promise.allSettled(writers)
      await source.start()
      await change(sql)
    },
  },
  {
    name: 'the walsender terminated, again and again',
    async run({ sql, slot }) {
      for (let n = 0; n < 5; n++) {
        await change(sql)
        await waitFor(
          async () =>
            (
              await sql`select pg_terminate_backend(active_pid) as ok from pg_replication_slots where slot_name = ${slot} and active`
            )[0]?.['ok'],
          { what: 'an active walsender' },
        )
        await change(sql)
      }
    },
  },
  {
    name: 'the slot dropped while the system is stopped',
    async run({ system, sql, slot }) {
      await caughtUp(system)
      await system.stop()
      await change(sql)
      await waitFor(() => sql`select pg_drop_replication_slot(${slot})`, { what: 'the slot to be free' })
      await change(sql)
      await system.restart()
    },
  },
  {
    name: 'the slot dropped while the system runs',
    async run({ sql, slot }) {
      await change(sql)
      await waitFor(
        async () => {
          await sql`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${slot}`
          await sql`select pg_drop_replication_slot(${slot})`
          return true
        },
        { what: 'a moment in which nobody has the slot', intervalMs: 1 },
      )
      await change(sql)
    },
  },
  {
    name: 'the publication dropped while the system runs',
    async run({ sql, publication }) {
      await change(sql)
      await sql`drop publication ${sql(publication)}`
      await change(sql)
    },
  },
  {
    name: 'a table taken out of the publication while the system runs',
    async run({ sql, publication }) {
      await sql`alter publication ${sql(publication)} drop table orders`
      await change(sql)
    },
  },
  {
    name: 'the slot invalidated by max_slot_wal_keep_size',
    settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '32MB' },
    async run({ system, sql, slot }) {
      await caughtUp(system)
      await system.stop()
      await change(sql)
      await waitFor(
        async () => {
          await sql`select pg_switch_wal()`
          await sql`create table if not exists ballast as select 1 as n`
          await sql`checkpoint`
          const [row] = await sql<
            { status: string }[]
          >`select wal_status as status from pg_replication_slots where slot_name = ${slot}`
          return row?.status === 'lost'
        },
        { what: 'the slot to be lost' },
      )
      await change(sql)
      await system.restart()
    },
  },
]

for (const { name, settings, run } of FAULTS) {
  test(`${name}: the system recovers by itself, nothing is stale, each event is published once`, async (t) => {
    const stage = await setStage(t, settings ?? {})
    const { system, sql } = stage
    await run(stage)
    await waitFor(async () => (await statusOf(system)).isReady, { what: 'the system to be ready', timeoutMs: 60_000 })
    // What broke may be noticed a moment later: from here on it has to be in order for good.
    await change(sql)
    await assertEachEventOnce(system)
    const [probe] = await sql<
      { id: string }[]
    >`update orders set status = 'PROBE' where id = (select id from orders limit 1) returning id::text`
    await waitFor(async () => (await system.redis.get(`order:status:${probe?.id}`))?.includes('PROBE'), {
      what: 'a change to arrive',
    })
    assert.equal((await statusOf(system)).stream.reason, null)
    await assertNothingStale(system)
  })
}

async function setStage(t: TestContext, settings: Readonly<Record<string, string>>): Promise<Stage> {
  const source = await ownPostgres(t, { settings })
  const system = await testSystem(t, { source })
  const [slot] = await source.sql<{ name: string }[]>`select slot_name as name from pg_replication_slots`
  const [publication] = await source.sql<{ name: string }[]>`select pubname as name from pg_publication`
  await change(source.sql)
  await caughtUp(system)
  return {
    system,
    source,
    sql: source.sql,
    slot: slot?.name ?? assert.fail('no slot'),
    publication: publication?.name ?? assert.fail('no publication'),
  }
}

/** Writers that meet on the same rows may lock them in a circle: PostgreSQL ends one of them, who tries again as any client has to. */
async function unlessDeadlocked(write: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await write()
      return
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === '40P01')) throw error
    }
  }
}
