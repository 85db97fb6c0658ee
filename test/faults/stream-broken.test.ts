/** A stream that breaks while the cache's consumer has not come to what it brought, and brings it again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseLsn } from '../../src/change/lsn.ts'
import { gate } from '../support/gate.ts'
import { testRedis } from '../support/redis.ts'
import { testSystem } from '../support/system.ts'
import { through } from '../support/tcp-proxy.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { redisCommands } from '../support/wire-messages.ts'
import { runs } from './kill-points.ts'
import { assertEachEventOnce } from './orders-and-events.ts'

const ORDERS = 5
/** More than half a call's, so that what comes again ends in the next one. */
const CHANGES = 180

test('the stream breaks while the consumer lags: what comes again leaves no older state behind', async (t) => {
  const redisServer = await testRedis(t)
  const redis = await gate(t, redisServer.port, redisCommands)
  const system = await testSystem(t, { redis: { ...redisServer, url: through(redisServer.url, redis) } })
  const { sql } = system
  const ids = Array.from({ length: ORDERS }, () => crypto.randomUUID())
  await sql`insert into orders ${sql(ids.map((id) => ({ id })))}`
  await caughtUp(system)
  const change = (n: number): Promise<unknown> =>
    sql`update orders set status = ${`S${n}`} where id = ${ids[n % ORDERS] ?? ''}`
  const received = async (): Promise<void> => {
    const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
    const lsn = parseLsn(row?.lsn ?? '')
    await waitFor(async () => parseLsn((await statusOf(system)).stream.receivedLsn ?? '0/0') >= lsn, {
      what: 'the stream to have brought it',
    })
  }

  const applying = redis.hold(runs('apply'))
  await change(0)
  const goOn = await applying
  for (let n = 1; n <= CHANGES; n++) await change(n)
  await received()
  const { reconnections } = (await statusOf(system)).stream
  await sql`select pg_terminate_backend(active_pid) from pg_replication_slots
             where active and database = current_database()`
  await waitFor(async () => (await statusOf(system)).stream.reconnections > reconnections, {
    what: 'another connection',
  })
  await sql`insert into orders (customer_id) values (gen_random_uuid())`
  await received()
  goOn()
  await caughtUp(system)
  await assertNothingStale(system)
  const statuses = await system.redis.mGet(ids.map((id) => `order:status:${id}`))
  assert.deepEqual(
    statuses.map((text) => text && (JSON.parse(text) as { status: string }).status),
    ids.map((_, index) => `S${CHANGES - ((CHANGES - index) % ORDERS)}`),
  )
  await assertEachEventOnce(system)
})
