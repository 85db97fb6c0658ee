/** A transaction that holds changes of cached rows while the slot is lost, made anew, its snapshot read and the cache forgotten. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { type Gate, gate } from '../support/gate.ts'
import { ownPostgres } from '../support/postgres.ts'
import { testRedis } from '../support/redis.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { through } from '../support/tcp-proxy.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { type PostgresRequest, postgresRequests, type RedisCommand, redisCommands } from '../support/wire-messages.ts'
import { assertEachEventOnce, slotIsContinued } from './orders-and-events.ts'

interface Servers {
  readonly system: TestSystem
  readonly sql: TestSystem['sql']
  readonly postgres: Gate<PostgresRequest>
  readonly redis: Gate<RedisCommand>
}

/** Of one customer: two that are cached, as is their list, and one that is to be. */
type Orders = Readonly<Record<'customer' | 'cancelled' | 'deleted' | 'inserted', string>>

interface Stage extends Servers {
  readonly committed: Orders
  readonly rolledBack: Orders
}

interface Moment {
  readonly name: string
  /** Their changes come by the new slot. Else what is left of them in the tables has to tell. */
  readonly areDelivered: boolean
  /** Begins the two transactions, loses the slot, and ends them, in whatever order. */
  readonly run: (stage: Stage) => Promise<void>
}

const MOMENTS: readonly Moment[] = [
  {
    name: 'open since before the slot was dropped, until the new one waits for them',
    areDelivered: false,
    async run(stage) {
      const { system, sql } = stage
      const writing = await write(stage)
      // What the consumer of events takes for done must not reach beyond what runs: of these nobody else will tell.
      await waitFor(
        async () => {
          await changeOthers(sql)
          await caughtUp(system)
          const [row] = await sql<{ is_late: boolean }[]>`
            select horizon >= ${writing.firstXid}::text::xid8 as is_late from trackops.positions
             where consumer = 'order-event-consumer'`
          return row?.is_late
        },
        { what: 'the horizon to be as late as it may be' },
      )
      await dropSlot(sql)
      await waitFor(
        () => sql`select from pg_stat_activity where backend_type = 'walsender' and wait_event_type = 'Lock'`,
        { what: 'the new slot to wait', until: ({ count }) => count > 0 },
      )
      await changeOthers(sql)
      await assertBefore(stage)
      await writing.end()
    },
  },
  {
    name: 'begun when the slot is made, ended while the cache is forgotten',
    areDelivered: true,
    async run(stage) {
      const { sql, redis } = stage
      const forgetting = redis.hold(([name, key]) => name === 'INCR' && key === 'trackops:generation')
      await dropSlot(sql)
      const goOn = await forgetting
      const writing = await write(stage)
      await changeOthers(sql)
      await writing.end()
      goOn()
    },
  },
  {
    name: 'begun and ended while the rows of the snapshot are read',
    areDelivered: true,
    async run(stage) {
      const { system, sql, committed, rolledBack } = stage
      const goOn = await holdSnapshot(stage)
      const writing = await write(stage)
      await changeOthers(sql)
      await assertBefore(stage)
      await writing.end()
      const statuses = async (): Promise<readonly string[]> =>
        await Promise.all([committed, rolledBack].map(({ cancelled }) => statusOf(system, cancelled)))
      // Their first reader finds what is newer than the rows that are about to come.
      assert.deepEqual(await statuses(), ['CANCELLED', 'PENDING'])
      goOn()
      await caughtUp(system)
      assert.deepEqual(await statuses(), ['CANCELLED', 'PENDING'])
    },
  },
  {
    name: 'begun while the rows of the snapshot are read, and open for long after',
    areDelivered: true,
    async run(stage) {
      const { system, sql } = stage
      const goOn = await holdSnapshot(stage)
      const writing = await write(stage)
      goOn()
      await changeOthers(sql)
      await caughtUp(system)
      await slotIsContinued(sql)
      await assertBefore(stage)
      await writing.end()
    },
  },
]

test('transactions that are open while a slot is made anew: of what commits all shows, of what is rolled back nothing', async (t) => {
  const servers = await setStage(t)
  for (const { name, areDelivered, run } of MOMENTS) {
    await t.test(name, async () => {
      const stage = { ...servers, committed: await someOrders(servers), rolledBack: await someOrders(servers) }
      await changeOthers(stage.sql)
      await caughtUp(stage.system)
      await slotIsContinued(stage.sql)
      await assertBefore(stage)
      await run(stage)
      await assertOutcome(stage, areDelivered)
    })
  }
})

async function setStage(t: TestContext): Promise<Servers> {
  // A slot waits for the transactions of its whole server: those of other tests, and theirs for ours.
  const source = await ownPostgres(t)
  const redisServer = await testRedis(t)
  const postgres = await gate(t, source.port, postgresRequests)
  const redis = await gate(t, redisServer.port, redisCommands)
  const system = await testSystem(t, {
    source: { url: through(source.url, postgres), sql: source.sql },
    redis: { ...redisServer, url: through(redisServer.url, redis) },
  })
  return { system, sql: source.sql, postgres, redis }
}

async function someOrders({ sql }: Servers): Promise<Orders> {
  const id = (): string => crypto.randomUUID()
  const orders = { customer: id(), cancelled: id(), deleted: id(), inserted: id() }
  const { customer, cancelled, deleted } = orders
  await sql`insert into orders (id, customer_id) values (${cancelled}, ${customer}), (${deleted}, ${customer})`
  return orders
}

async function write({ sql, committed, rolledBack }: Stage): Promise<{ firstXid: string; end: () => Promise<void> }> {
  const one = await sql.reserve()
  const other = await sql.reserve()
  const xids: string[] = []
  for (const [session, { customer, cancelled, deleted, inserted }] of [
    [one, committed],
    [other, rolledBack],
  ] as const) {
    await session`begin`
    await session`update orders set status = 'CANCELLED' where id = ${cancelled}`
    await session`savepoint one`
    await session`delete from orders where id = ${deleted}`
    await session`insert into orders (id, customer_id) values (${inserted}, ${customer})`
    const [row] = await session<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
    xids.push(row?.xid ?? '')
  }
  return {
    firstXid: xids[0] ?? '',
    async end() {
      await one`commit`
      await other`rollback`
      one.release()
      other.release()
    },
  }
}

/** Those that the open transactions hold would wait for them. */
async function changeOthers(sql: Servers['sql']): Promise<void> {
  await sql`insert into orders (customer_id, total_amount) select gen_random_uuid(), n from generate_series(1, 10) n`
  await sql`update orders set status = 'CANCELLED'
             where id in (select id from orders where total_amount = 1 and status = 'PENDING')`
}

/** The system runs, and makes it anew. */
async function dropSlot(sql: Servers['sql']): Promise<void> {
  await waitFor(
    async () => {
      await sql`select pg_terminate_backend(active_pid) from pg_replication_slots where active`
      return await sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots`
    },
    { what: 'a moment in which nobody has the slot', intervalMs: 1, until: ({ count }) => count > 0 },
  )
}

/** The slot is new and the cache is forgotten; no row has been read yet. Gives what lets it go on. */
async function holdSnapshot({ system, sql, postgres }: Servers): Promise<() => void> {
  const stored = (): Promise<string | null> => system.redis.get('trackops:position:cache-warmer')
  const position = await stored()
  const fetching = postgres.hold(({ statements }) => statements.some((text) => text.startsWith('FETCH')))
  await dropSlot(sql)
  const goOn = await fetching
  const historyOf = (text: string | null): string | undefined => text?.split('|')[0]
  await waitFor(async () => historyOf(await stored()) !== historyOf(position), { what: 'the cache to be forgotten' })
  return goOn
}

async function assertBefore({ system, committed, rolledBack }: Stage): Promise<void> {
  for (const orders of [committed, rolledBack])
    assert.deepEqual(await listed(system, orders.customer), {
      [orders.cancelled]: 'PENDING',
      [orders.deleted]: 'PENDING',
    })
}

async function assertOutcome(stage: Stage, areDelivered: boolean): Promise<void> {
  const { system, committed, rolledBack } = stage
  await assertEachEventOnce(system)
  const created = ({ cancelled, deleted }: Orders): string[] => [
    `ORDER_CREATED:${cancelled}`,
    `ORDER_CREATED:${deleted}`,
  ]
  const { customer, cancelled, deleted, inserted } = committed
  const announced = [...created(committed), `ORDER_CANCELLED:${cancelled}`, `ORDER_CREATED:${inserted}`]
  // Of a row that is gone nothing is left to tell where nobody delivers that.
  if (areDelivered) announced.push(`ORDER_CANCELLED:${deleted}`)
  assert.deepEqual(await eventsOf(stage, committed), announced.toSorted())
  assert.deepEqual(await eventsOf(stage, rolledBack), created(rolledBack).toSorted())
  assert.deepEqual(await listed(system, customer), { [cancelled]: 'CANCELLED', [inserted]: 'PENDING' })
  assert.deepEqual(await listed(system, rolledBack.customer), {
    [rolledBack.cancelled]: 'PENDING',
    [rolledBack.deleted]: 'PENDING',
  })
  await assertNothingStale(system)
  assert.deepEqual(await cachedStatuses(stage, committed), ['CANCELLED', null, 'PENDING'])
  assert.deepEqual(await cachedStatuses(stage, rolledBack), ['PENDING', 'PENDING', null])
}

async function listed({ orderUrl }: TestSystem, customer: string): Promise<Readonly<Record<string, string>>> {
  const response = await fetch(`${orderUrl}/api/customers/${customer}/orders`)
  const { orders } = (await response.json()) as { orders: { id: string; status: string }[] }
  return Object.fromEntries(orders.map(({ id, status }) => [id, status]))
}

async function statusOf({ orderUrl }: TestSystem, id: string): Promise<string> {
  const response = await fetch(`${orderUrl}/api/orders/${id}/status`)
  return ((await response.json()) as { status: string }).status
}

async function eventsOf({ sql }: Stage, { cancelled, deleted, inserted }: Orders): Promise<readonly string[]> {
  const events = await sql<{ event_id: string }[]>`
    select event_id from trackops.domain_events where key in (${cancelled}, ${deleted}, ${inserted})`
  return events.map(({ event_id: id }) => id).toSorted()
}

async function cachedStatuses({ system }: Stage, orders: Orders): Promise<readonly (string | null)[]> {
  const { cancelled, deleted, inserted } = orders
  const cached = await system.redis.mGet([cancelled, deleted, inserted].map((id) => `order:status:${id}`))
  return cached.map((text) => text && (JSON.parse(text) as { status: string }).status)
}
