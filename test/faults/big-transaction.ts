/** What is larger than memory should hold: one transaction of very many rows, and single values of megabytes. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { createRedisClient } from '../../src/roles/redis-client.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import { upSite } from '../support/process.ts'
import { residentMib } from '../support/resident-memory.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'

/** Measured: 350 MiB for 200,000 rows, 420 for 800,000: what V8 lets lie before it collects, and no more for more rows. */
const BOUND_MIB = 550

export async function passBigTransaction(t: TestContext, rows: number): Promise<void> {
  const site = await upSite(t)
  const running = site.up()
  await running.ready()
  const sql = createPostgresPool(site.urls.source, { applicationName: 'test', maxConnections: 2 })
  t.after(() => sql.end({ timeout: 1 }))
  const redis = createRedisClient(site.urls.redis, { name: 'test', log: SILENT })
  await redis.connect()
  t.after(() => redis.destroy())
  await sql`insert into orders (customer_id) select gen_random_uuid() from generate_series(1, 1000)`
  await caughtUp(site)
  const before = residentMib(running.pid)
  let most = before
  const watching = setInterval(() => (most = Math.max(most, residentMib(running.pid))), 100)
  t.after(() => clearInterval(watching))

  await sql`insert into orders (customer_id, total_amount, city)
    select gen_random_uuid(), n % 1000, 'a city with a name of some length' from generate_series(1, ${rows}) n`
  await caughtUp(site, 600_000)
  await sql`update orders set status = 'BIG', delivery_instructions = 'x' where total_amount < 100`
  await caughtUp(site, 600_000)
  // Keys of a transaction that was too large to hold are filled beside the stream.
  const sample = await sql<{ id: string; status: string }[]>`
    select id::text, status from orders tablesample system (1) limit 500`
  await waitFor(
    async () => {
      const cached = await redis.mGet(sample.map(({ id }) => `order:status:${id}`))
      return cached.every((text, index) => text?.includes(`"${sample[index]?.status}"`))
    },
    { what: 'a sample of the orders to be warm', timeoutMs: 120_000, intervalMs: 200 },
  )

  const [large] = await sql<{ id: string }[]>`
    insert into orders (customer_id, delivery_instructions) values (gen_random_uuid(), repeat('5 MB of ü', 500000)) returning id::text`
  const id = large?.id ?? assert.fail()
  const lengthOf = async (): Promise<number> => {
    const text = await redis.get(`order:entity:${id}`)
    return text === null ? 0 : (JSON.parse(text) as { deliveryInstructions: string }).deliveryInstructions.length
  }
  await waitFor(async () => (await lengthOf()) === 4_500_000, { what: 'the value in Redis' })
  // The large value is not in this event: it is unchanged.
  await sql`update orders set status = 'CONFIRMED' where id = ${id}`
  await waitFor(async () => (await redis.get(`order:status:${id}`))?.includes('CONFIRMED'), { what: 'the change' })
  await waitFor(async () => (await redis.get(`order:entity:${id}`))?.includes('"CONFIRMED"'), {
    what: 'it in the entity',
  })
  assert.equal(await lengthOf(), 4_500_000)
  const response = await fetch(`${site.orderUrl}/api/orders/${id}`)
  assert.equal(((await response.json()) as { deliveryInstructions: string }).deliveryInstructions.length, 4_500_000)

  const grewMib = most - before
  assert.ok(grewMib < BOUND_MIB, `memory grew by ${grewMib} MiB from ${before} MiB`)
  await assertNothingStale(site, 1_200_000)
  assert.equal((await running.end('SIGTERM')).exitCode, 0)
}
