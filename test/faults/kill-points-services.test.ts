/** Whoever has an effect in a database, and readers, killed on either side of it. */
import assert from 'node:assert/strict'

import type { Sql } from 'postgres'

import { waitFor } from '../support/wait-for.ts'
import { commits, killAtEach, type Point, runs } from './kill-points.ts'

const POINTS: readonly Point[] = [
  {
    name: 'the event consumer, when its events are inserted and not committed',
    async reach({ gates, sql, changeOrders }) {
      const stopped = gates.source.stop('before', commits('insert into trackops.domain_events'))
      const ids = await changeOrders()
      await stopped
      assert.equal(await eventsOf(sql, ids), 0)
    },
  },
  {
    name: 'the event consumer, when its events are committed and it does not know',
    async reach({ gates, sql, changeOrders }) {
      const stopped = gates.source.stop('behind', commits('insert into trackops.domain_events'))
      const ids = await changeOrders()
      await stopped
      await waitFor(async () => (await eventsOf(sql, ids)) === ids.length, { what: 'the events' })
    },
  },
  {
    name: 'the inventory service, when it has reserved and not committed',
    async reach({ gates, inventorySql, changeOrders }) {
      const stopped = gates.inventory.stop('before', commits('insert into reservations'))
      const ids = await changeOrders()
      await stopped
      assert.equal(await reservationsOf(inventorySql, ids), 0)
    },
  },
  {
    name: 'the inventory service, when it has committed and does not know',
    async reach({ gates, inventorySql, changeOrders }) {
      const stopped = gates.inventory.stop('behind', commits('insert into reservations'))
      const ids = await changeOrders()
      await stopped
      await waitFor(async () => (await reservationsOf(inventorySql, ids)) > 0, { what: 'the reservations' })
    },
  },
  {
    name: 'the relay of the inventory, when its answers are published and its outbox does not know',
    async reach({ gates, inventorySql, changeOrders }) {
      const stopped = gates.inventory.stop('before', commits('update trackops_outbox set published_at'))
      await changeOrders()
      await stopped
      const waiting = await inventorySql<{ id: string }[]>`
        select event_id as id from trackops_outbox where published_at is null`
      assert.ok(waiting.length > 0)
    },
  },
  {
    name: 'the order service, when an answer has confirmed its order and it does not know',
    async reach({ gates, sql, changeOrders }) {
      const stopped = gates.source.stop('behind', commits("update orders set status = 'CONFIRMED'"))
      const ids = await changeOrders()
      await stopped
      await waitFor(() => sql`select from orders where id = any (${ids}::uuid[]) and status = 'CONFIRMED'`, {
        what: 'an order to be confirmed',
        until: (rows) => rows.length > 0,
      })
    },
  },
  {
    name: 'a reader, when it has a lease and has not settled',
    async reach(site) {
      const list = `orders:customer:${site.customer}`
      await site.redis.unlink(list)
      const stopped = site.gates.redis.stop(
        'before',
        runs('settle', ({ keys }) => keys.includes(list)),
      )
      const reading = site.readOrders().catch(() => 'killed')
      await stopped
      assert.ok((await site.redis.pTTL(`{${list}}:lease`)) > 0)
      await site.kill()
      assert.equal(await reading, 'killed')
    },
  },
  {
    name: 'a reader, when it has settled and does not know',
    async reach(site) {
      const list = `orders:customer:${site.customer}`
      await site.redis.unlink(list)
      const stopped = site.gates.redis.stop(
        'behind',
        runs('settle', ({ keys }) => keys.includes(list)),
      )
      const reading = site.readOrders().catch(() => 'killed')
      await stopped
      await waitFor(async () => (await site.redis.exists(list)) === 1, { what: 'the list to be stored' })
      await site.kill()
      assert.equal(await reading, 'killed')
    },
  },
]

async function eventsOf(sql: Sql, ids: readonly string[]): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n from trackops.domain_events where key = any (${[...ids]}) and event_id like 'ORDER_CREATED:%'`
  return row?.n ?? 0
}

async function reservationsOf(inventorySql: Sql, ids: readonly string[]): Promise<number> {
  const [row] = await inventorySql<{ n: number }[]>`
    select count(*)::int as n from reservations where order_id = any (${[...ids]}::uuid[])`
  return row?.n ?? 0
}

await killAtEach(POINTS)
