/** Positions that say less than what was done: changes are delivered again, and must not have their effects again. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import { globalKeys } from '../../src/cache/global-keys.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { assertEachEventOnce, change } from './orders-and-events.ts'
import { readAndWrite } from './readers-and-writers.ts'

const { invalidator, warmer } = globalKeys('')
const EVENTS = 'order-event-consumer'

/** As they were a moment ago, so that the log still reaches there. */
interface Earlier {
  readonly cache: readonly (string | null)[]
  readonly events: string
}

interface Case {
  readonly name: string
  readonly lose: (system: TestSystem, earlier: Earlier) => Promise<unknown>
  /** Also where nothing is under way that would notice. */
  readonly isTriedStopped?: boolean
}

const CASES: readonly Case[] = [
  {
    name: 'both positions in Redis set back',
    isTriedStopped: true,
    lose: ({ redis }, { cache: [first, second] }) =>
      redis.mSet([
        [invalidator, first ?? ''],
        [warmer, second ?? ''],
      ]),
  },
  { name: 'both positions in Redis deleted', lose: ({ redis }) => redis.del([invalidator, warmer]) },
  {
    name: "the invalidator's position in Redis set back",
    lose: ({ redis }, { cache: [first] }) => redis.set(invalidator, first ?? ''),
  },
  { name: "the warmer's position in Redis deleted", lose: ({ redis }) => redis.del(warmer) },
  {
    name: "the events' position set back",
    isTriedStopped: true,
    lose: ({ sql }, { events }) => sql`update trackops.positions set position = ${events} where consumer = ${EVENTS}`,
  },
  {
    name: 'every position deleted',
    isTriedStopped: true,
    lose: async ({ sql, redis }) => {
      await redis.del([invalidator, warmer])
      await sql`delete from trackops.positions where consumer = ${EVENTS}`
    },
  },
]

export async function checkPositions(t: TestContext, consumers: 'together' | 'apart'): Promise<void> {
  const system = await testSystem(t, { config: { cache: { consumers } } })
  for (const { name, lose, isTriedStopped } of CASES) {
    await t.test(`${name} under load`, async () => {
      const watch = await readAndWrite(system, { writerPauseMs: 10 })
      try {
        await moreOf(watch)
        const earlier = await positionsOf(system)
        await change(system.sql)
        await moreOf(watch)
        await lose(system, earlier)
        await moreOf(watch)
      } finally {
        await watch.stop()
      }
      assert.deepEqual(watch.failed.slice(0, 5), [])
      assert.deepEqual(watch.wentBack.slice(0, 5), [])
      await assertAllRight(system)
    })
    if (!isTriedStopped) continue
    await t.test(`${name} while the system is stopped`, async () => {
      await untilAcked(system)
      const earlier = await positionsOf(system)
      await change(system.sql)
      await caughtUp(system)
      await system.stop()
      await lose(system, earlier)
      await change(system.sql)
      await system.restart()
      await assertAllRight(system)
    })
  }
}

async function positionsOf({ sql, redis }: TestSystem): Promise<Earlier> {
  const [row] = await sql<{ position: string }[]>`
    select position from trackops.positions where consumer = ${EVENTS}`
  return { cache: await redis.mGet([invalidator, warmer]), events: row?.position ?? assert.fail('no position') }
}

/** From here on the slot continues where it stands; before its first ack a restart begins with a new one, which reaches back to nothing. */
async function untilAcked({ sql }: TestSystem): Promise<void> {
  const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  await change(sql)
  await waitFor(
    () => sql`
      select from pg_replication_slots
       where database = current_database() and confirmed_flush_lsn >= ${row?.lsn ?? ''}::pg_lsn`,
    { what: 'the slot to be acked', until: (rows) => rows.length === 1 },
  )
}

async function moreOf(watch: Awaited<ReturnType<typeof readAndWrite>>): Promise<void> {
  const [reads, writes] = [watch.reads(), watch.writes()]
  await waitFor(() => watch.reads() > reads + 50 && watch.writes() > writes + 50, { what: 'reads and writes' })
}

async function assertAllRight(system: TestSystem): Promise<void> {
  await waitFor(async () => (await statusOf(system)).isReady, { what: 'the system to be ready' })
  await change(system.sql)
  await assertEachEventOnce(system)
  await caughtUp(system)
  await assertNothingStale(system)
  assert.equal((await statusOf(system)).deadLetters, 0)
  // At rest no fence is left (F).
  await waitFor(async () => (await system.redis.keys('*:fence')).length === 0, { what: 'no fence to be left' })
}
