import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ownPostgres } from '../support/postgres.ts'
import { testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { untilCommitsWait } from '../support/commits-wait.ts'
import { waitFor } from '../support/wait-for.ts'

/**
 * With a synchronous standby that never answers, a COMMIT is flushed and decoded, and no reader sees it. Whoever shows it anyway
 * shows what a failover may take back; whoever takes its event as done installs the old state for good.
 */
test('what is committed and not yet visible shows nowhere, and afterwards nothing is stale', async (t) => {
  const source = await ownPostgres(t)
  const { sql } = source
  const system = await testSystem(t, { source })
  const { redis, orderUrl } = system
  const customer = crypto.randomUUID()
  const ids = { updated: crypto.randomUUID(), deleted: crypto.randomUUID(), inserted: crypto.randomUUID() }
  const read = async (path: string): Promise<{ status: number; body: unknown }> => {
    const response = await fetch(`${orderUrl}/api/${path}`)
    return { status: response.status, body: await response.json() }
  }
  await sql`insert into orders (id, customer_id) values (${ids.updated}, ${customer}), (${ids.deleted}, ${customer})`
  await caughtUp(system)
  await read(`customers/${customer}/orders`)

  await sql`alter system set synchronous_standby_names = 'nobody'`
  await sql`select pg_reload_conf()`
  await untilCommitsWait(sql)
  const before = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  const writes = [
    sql`update orders set status = 'SHIPPED' where id = ${ids.updated}`.execute(),
    sql`delete from orders where id = ${ids.deleted}`.execute(),
    sql`insert into orders (id, customer_id) values (${ids.inserted}, ${customer})`.execute(),
  ]
  await waitFor(
    async () =>
      (await sql`select count(*)::int as n from pg_stat_activity where wait_event = 'SyncRep'`)[0]?.['n'] === 3,
    { what: 'three commits that wait for the standby' },
  )
  // The capture has received all three.
  await waitFor(
    async () => {
      const [row] = await sql<{ behind: boolean }[]>`
        select ${(await statusOf(system)).stream.receivedLsn}::pg_lsn > ${before[0]?.lsn ?? ''}::pg_lsn as behind`
      return row?.behind
    },
    { what: 'the stream to bring them' },
  )

  const visible = await sql<{ id: string; status: string }[]>`select id::text, status from orders order by id`
  assert.deepEqual(
    new Set(visible.map(({ id, status }) => `${id} ${status}`)),
    new Set([`${ids.updated} PENDING`, `${ids.deleted} PENDING`]),
  )
  // Fills with and without what is cached, over and over, also after the entries are gone.
  for (let round = 0; round < 30; round++) {
    if (round % 3 === 0) {
      const keys = [ids.updated, ids.deleted, ids.inserted].flatMap((id) => [
        `order:entity:${id}`,
        `order:status:${id}`,
      ])
      await redis.del([...keys, `orders:customer:${customer}`])
    }
    const [updated, deleted, inserted, list] = await Promise.all([
      read(`orders/${ids.updated}/status`),
      read(`orders/${ids.deleted}`),
      read(`orders/${ids.inserted}`),
      read(`customers/${customer}/orders`),
    ])
    assert.equal((updated.body as { status: string }).status, 'PENDING')
    assert.equal(deleted.status, 200)
    assert.equal(inserted.status, 404)
    const { orders } = list.body as { orders: { id: string; status: string }[] }
    assert.deepEqual(
      new Set(orders.map(({ id, status }) => `${id} ${status}`)),
      new Set([`${ids.updated} PENDING`, `${ids.deleted} PENDING`]),
    )
    const cached = await redis.get(`order:status:${ids.updated}`)
    if (cached) assert.equal(JSON.parse(cached).status, 'PENDING')
    assert.doesNotMatch((await redis.get(`order:entity:${ids.inserted}`)) ?? '', /PENDING/)
  }
  const events = await sql`select event_id from trackops.domain_events where event_id like 'ORDER_CANCELLED%'`
  assert.equal(events.length, 0, 'no event of what may yet be taken back')

  await sql`alter system reset synchronous_standby_names`
  await sql`select pg_reload_conf()`
  await Promise.all(writes)
  await caughtUp(system)
  assert.equal((await read(`orders/${ids.updated}/status`)).status, 200)
  assert.equal(((await read(`orders/${ids.updated}/status`)).body as { status: string }).status, 'SHIPPED')
  assert.equal((await read(`orders/${ids.deleted}`)).status, 404)
  assert.equal((await read(`orders/${ids.inserted}`)).status, 200)
  const { orders } = (await read(`customers/${customer}/orders`)).body as { orders: { id: string }[] }
  assert.deepEqual(new Set(orders.map(({ id }) => id)), new Set([ids.updated, ids.inserted]))
  assert.match((await redis.get(`order:status:${ids.updated}`)) ?? '', /SHIPPED/)
  await assertNothingStale(system)
})
