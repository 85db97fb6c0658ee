/** Orders that have events, written by SQL, and what has to be there of them when all is over. */
import assert from 'node:assert/strict'

import type { TestSystem } from '../support/system.ts'
import { caughtUp, type JudgedSystem } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'

/** New orders, of which some are cancelled, and changes of old ones. */
export async function change(sql: Pick<TestSystem['sql'], 'unsafe'>): Promise<void> {
  await sql.unsafe(`
    insert into orders (customer_id, total_amount) select gen_random_uuid(), n from generate_series(1, 10) n;
    update orders set status = 'CANCELLED' where id in (select id from orders where status <> 'CANCELLED' limit 3);
    update orders set total_amount = total_amount + 1 where id in (select id from orders limit 10);
  `)
}

/** @throws unless every order has the events that it must have, none of them twice */
export async function assertEachEventOnce(system: JudgedSystem & Pick<TestSystem, 'sql'>): Promise<void> {
  const { sql } = system
  await waitFor(
    async () => {
      await caughtUp(system, 5_000)
      const [row] = await sql<{ created: number; cancelled: number }[]>`
        select count(*) filter (where not exists (
                 select from trackops.domain_events where event_id = 'ORDER_CREATED:' || o.id))::int as created,
               count(*) filter (where status = 'CANCELLED' and not exists (
                 select from trackops.domain_events where event_id = 'ORDER_CANCELLED:' || o.id))::int as cancelled
          from orders o`
      return row?.created === 0 && row.cancelled === 0
    },
    { what: 'every order to have its events', timeoutMs: 60_000 },
  )
  const doubled = await sql`select key, payload->>'type' from trackops.domain_events
    where topic = 'order-events' group by 1, 2 having count(*) > 1`
  assert.deepEqual([...doubled], [])
}

/** An order with items comes to be CONFIRMED: its event is read by the inventory, and the answer by the order service. */
export async function anOrderIsConfirmed(system: Pick<TestSystem, 'sql' | 'orderUrl'>): Promise<void> {
  const id = await waitFor(
    async () => {
      const response = await fetch(`${system.orderUrl}/api/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          customerId: crypto.randomUUID(),
          items: [{ productId: 'a', quantity: 1, unitPrice: '1.00' }],
        }),
      })
      return ((await response.json()) as { id?: string }).id
    },
    { what: 'the order service to take an order' },
  )
  await waitFor(
    async () => {
      const [row] = await system.sql<{ status: string }[]>`select status from orders where id = ${id}`
      return row?.status
    },
    { what: 'the order to be confirmed', until: (status) => status === 'CONFIRMED', timeoutMs: 20_000 },
  )
}

/** Resolves when the snapshot counts as applied: until then whoever opens the slot makes it anew. */
export async function slotIsContinued(sql: TestSystem['sql']): Promise<void> {
  await waitFor(() => sql`select from trackops.slots where snapshot_completed_at is not null`, {
    what: 'the slot to be one that is continued',
    until: (rows) => rows.length > 0,
  })
}
