/** `kill -9` at random moments while orders are made and cancelled in every way, and the account that has to balance afterwards. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import type { Sql } from 'postgres'

import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { descendantsOf, upSite, type UpSite } from '../support/process.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'

const PRODUCTS = ['a', 'b', 'c']

export async function killAndCompare(t: TestContext, rounds: number): Promise<void> {
  const site = await upSite(t)
  const sql = pool(t, site.urls.source)
  const inventorySql = pool(t, site.inventoryDatabaseUrl)
  for (let round = 0; round < rounds; round++) {
    const running = site.up()
    await running.ready()
    const everything = await descendantsOf(running.pid)
    const stop = new AbortController()
    const load = Promise.all([httpLoad(site, stop.signal), sqlLoad(sql, stop.signal), bulkLoad(sql, stop.signal)])
    try {
      await randomMoment(sql, Math.round(20 + Math.random() * 300))
      // Alone, its servers live on as orphans; or all of it, as when the machine goes down.
      const victims = round % 2 === 0 ? [running.pid] : [running.pid, ...everything]
      for (const pid of victims) kill(pid)
      await running.ended
    } finally {
      stop.abort()
      await load
    }
  }
  const last = site.up()
  await last.ready()
  await caughtUp(site)
  await assertBooksBalance(sql, inventorySql, `${readLog(site)}`)
  await caughtUp(site)
  await assertNothingStale(site)
  assert.equal((await last.end('SIGTERM')).exitCode, 0)
}

/** @throws unless events, reservations and stock are what the orders say */
export async function assertBooksBalance(sql: Sql, inventorySql: Sql, log: string): Promise<void> {
  const count = async (query: PromiseLike<readonly { n: number }[]>): Promise<number> => (await query)[0]?.n ?? -1
  const missing = {
    created: await count(sql`select count(*)::int as n from orders o
      where not exists (select from trackops.domain_events e where e.event_id = 'ORDER_CREATED:' || o.id)`),
    cancelled: await count(sql`select count(*)::int as n from orders o where status = 'CANCELLED'
      and not exists (select from trackops.domain_events e where e.event_id = 'ORDER_CANCELLED:' || o.id)`),
  }
  assert.deepEqual(missing, { created: 0, cancelled: 0 }, log)
  const doubled =
    await sql`select key, payload->>'type' as type from trackops.domain_events where topic = 'order-events'
    group by 1, 2 having count(*) > 1`
  assert.deepEqual([...doubled], [], log)
  const ghosts = await count(sql`select count(*)::int as n from trackops.domain_events e
    where topic = 'order-events' and not exists (select from orders o where o.id::text = e.key)`)
  assert.equal(ghosts, 0, 'an event of an order that was never committed')
  assert.ok((await count(sql`select count(*)::int as n from orders`)) > 0)
  // Answers of the inventory travel back; what has items is settled when nothing of it is PENDING any more.
  await waitFor(
    async () =>
      (await count(sql`select count(*)::int as n from orders o where status = 'PENDING'
        and exists (select from trackops.domain_events e where e.event_id = 'ORDER_CREATED:' || o.id
                    and jsonb_array_length(e.payload->'items') > 0)`)) === 0,
    { what: `every order with items to be answered`, timeoutMs: 60_000 },
  )
  const promised = await sql<{ product: string; quantity: number }[]>`
    select item->>'productId' as product, sum((item->>'quantity')::int)::int as quantity
      from trackops.domain_events e, jsonb_array_elements(e.payload->'items') item
     where e.payload->>'type' = 'ORDER_CREATED'
       and (select status from orders where id::text = e.key) not in ('CANCELLED', 'REJECTED')
     group by 1 order by 1`
  const balanced = async (): Promise<boolean> => {
    const reserved = await inventorySql<{ product: string; quantity: number }[]>`
      select product_id as product, reserved::int as quantity from inventory where reserved > 0 order by 1`
    return JSON.stringify([...reserved]) === JSON.stringify([...promised])
  }
  await waitFor(balanced, { what: `stock of ${JSON.stringify(promised)}` })
}

async function httpLoad(site: UpSite, signal: AbortSignal): Promise<void> {
  const worker = async (): Promise<void> => {
    for (let n = 0; !signal.aborted; n++) {
      try {
        const created = await fetch(`${site.orderUrl}/api/orders`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            customerId: crypto.randomUUID(),
            items: [{ productId: PRODUCTS[n % 3], quantity: 1 + (n % 4), unitPrice: '1.00' }],
          }),
        })
        const { id } = (await created.json()) as { id: string }
        if (n % 2 === 0) await (await fetch(`${site.orderUrl}/api/orders/${id}`, { method: 'DELETE' })).text()
      } catch {
        // The process has just been killed: what it had not answered may be there or not. Without a pause this would only spin.
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
  }
  await Promise.all([worker(), worker(), worker()])
}

async function sqlLoad(sql: Sql, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const id = crypto.randomUUID()
    await sql
      .begin(async (tx) => {
        await tx`insert into orders (id, customer_id) values (${id}, gen_random_uuid())`
        await tx`insert into order_items (order_id, product_id, quantity) values (${id}, 'a', 2), (${id}, 'b', 1)`
      })
      .catch(() => undefined)
    await sql`update orders set status = 'CANCELLED' where id = ${id} and random() < 0.5`.catch(() => undefined)
  }
}

async function bulkLoad(sql: Sql, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sql`with made as (insert into orders (customer_id) select gen_random_uuid() from generate_series(1, 50) returning id)
      insert into order_items (order_id, product_id, quantity) select id, 'c', 1 from made`.catch(() => undefined)
    await sql`update orders set status = 'CANCELLED' where status in ('PENDING', 'CONFIRMED') and random() < 0.05`.catch(
      () => undefined,
    )
  }
}

/** After so many commits: a moment that has to do with the work, and not with a clock. */
async function randomMoment(sql: Sql, commits: number): Promise<void> {
  const orders = async (): Promise<number> =>
    (await sql<{ n: number }[]>`select count(*)::int as n from trackops.domain_events`)[0]?.n ?? 0
  // A connection of the pool may hold the last words of a server that was killed.
  const { from } = await waitFor(async () => ({ from: await orders() }), { what: 'the events' })
  await waitFor(async () => (await orders()) >= from + commits, {
    what: 'some events',
    timeoutMs: 60_000,
    intervalMs: 5,
  })
}

function pool(t: TestContext, url: string): Sql {
  const sql = createPostgresPool(url, { applicationName: 'killed-test', maxConnections: 4 })
  t.after(() => sql.end({ timeout: 1 }))
  return sql
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // A backend that left with its server.
  }
}

function readLog(site: UpSite): string {
  return readFileSync(join(site.dataDirectory, 'logs/trackops.log'), 'utf8').split('\n').slice(-30).join('\n')
}
