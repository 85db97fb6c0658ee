/** Rights of the role that captures are taken while it runs, and given back: it says what it lacks, and goes on where it was. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ownPostgres } from '../support/postgres.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { anOrderIsConfirmed, change, assertEachEventOnce, slotIsContinued } from './orders-and-events.ts'

interface Right {
  readonly name: string
  readonly take: string
  readonly give: string
  /** What `/api/status` says meanwhile. */
  readonly reason: RegExp
}

const RIGHTS: readonly Right[] = [
  {
    name: 'REPLICATION',
    take: 'alter role app noreplication',
    give: 'alter role app replication',
    reason: /permission denied to start WAL sender .*\[POSTGRES_REFUSED\]/,
  },
  {
    name: 'CONNECT',
    take: 'revoke connect on database postgres from public',
    give: 'grant connect on database postgres to public',
    reason: /permission denied for database "postgres".* \[POSTGRES_REFUSED\]|refuses .*\(42501\) \[POSTGRES_REFUSED\]/,
  },
  {
    name: 'LOGIN',
    take: 'alter role app nologin',
    give: 'alter role app login',
    reason: /role "app" is not permitted to log in .*\[POSTGRES_REFUSED\]|refuses .*\(28000\) \[POSTGRES_REFUSED\]/,
  },
]

test('rights that are revoked and given back', async (t) => {
  const source = await ownPostgres(t)
  const { sql } = source
  await sql.unsafe(`
    create role app login replication password 'app';
    grant create on database postgres to app;
    grant all on schema public to app;
  `)
  const url = new URL(source.url)
  url.username = url.password = 'app'
  const system = await testSystem(t, { source: { url: url.href, sql } })
  await change(sql)
  await assertEachEventOnce(system)
  await slotIsContinued(sql)
  const epoch = await slotEpoch(sql)

  for (const { name, take, give, reason } of RIGHTS) {
    await t.test(`${name}: one reason meanwhile, not ready, and all goes on when it is given back`, async () => {
      await sql.unsafe(take)
      // Given back whatever happens, or the cases behind this one would fail with it.
      try {
        await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'`
        await waitFor(() => statusOf(system), {
          what: 'the reason to be told',
          until: ({ isReady, stream }) => !isReady && reason.test(stream.reason ?? ''),
        })
        assert.match(system.system().reason() ?? '', reason)
        assert.equal((await fetch(`${system.consoleUrl}/health/ready`)).status, 503)
        assert.equal((await fetch(`${system.consoleUrl}/health/live`)).status, 200)
        await change(sql)
      } finally {
        await sql.unsafe(give)
      }
      await goesOn(system)
    })
  }

  await t.test(
    'SELECT: what is cached is kept right, what would have to be read is refused, and then read again',
    async () => {
      const customer = crypto.randomUUID()
      const list = `${system.orderUrl}/api/customers/${customer}/orders`
      const id = crypto.randomUUID()
      await sql`revoke select on orders from app`
      try {
        await sql`insert into orders (id, customer_id) values (${id}, ${customer})`
        await waitFor(async () => await system.redis.exists(`order:status:${id}`), {
          what: 'the change to be cached',
          until: (n) => n === 1,
        })
        const status = await fetch(`${system.orderUrl}/api/orders/${id}/status`)
        assert.deepEqual([status.status, status.headers.get('x-cache')], [200, 'hit'])
        const refused = await fetch(list)
        assert.equal(refused.status, 503)
        assert.match(refused.headers.get('content-type') ?? '', /problem\+json/)
        assert.doesNotMatch(await refused.text(), /permission denied|select/i)
      } finally {
        await sql`grant select on orders to app`
      }
      const { orders } = (await (await fetch(list)).json()) as { orders: { id: string }[] }
      assert.deepEqual(
        orders.map((order) => order.id),
        [id],
      )
      await goesOn(system)
    },
  )

  await t.test('SELECT on what an event holds: the event waits, and the cache does not', async () => {
    const id = crypto.randomUUID()
    await sql`revoke select on order_items from app`
    try {
      await sql`insert into orders (id) values (${id})`
      const reason = /^order-event-consumer: .*\(42501\) \[POSTGRES_REFUSED\]/
      await waitFor(() => system.system().reason(), {
        what: 'the reason to be told',
        until: (text) => reason.test(text),
      })
      const { isReady, consumers } = await statusOf(system)
      assert.equal(isReady, false)
      assert.deepEqual(
        consumers.filter((consumer) => consumer.reason !== null).map((consumer) => consumer.name),
        ['order-event-consumer'],
      )
      await waitFor(async () => await system.redis.exists(`order:status:${id}`), {
        what: 'the change to be cached',
        until: (n) => n === 1,
      })
    } finally {
      await sql`grant select on order_items to app`
    }
    await goesOn(system)
    assert.equal((await statusOf(system)).deadLetters, 0)
  })

  async function goesOn(running: TestSystem): Promise<void> {
    await change(sql)
    await assertEachEventOnce(running)
    await anOrderIsConfirmed(running)
    await caughtUp(running)
    assert.equal((await statusOf(running)).stream.reason, null)
    assert.equal(await slotEpoch(sql), epoch, 'nothing was missed: it goes on where it was')
    await assertNothingStale(running)
  }
})

async function slotEpoch(sql: TestSystem['sql']): Promise<string> {
  const [row] = await sql<{ epoch: string }[]>`select epoch::text from trackops.slots`
  return row?.epoch ?? assert.fail('no slot')
}
