import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testSystem } from '../support/system.ts'
import { waitFor } from '../support/wait-for.ts'

test('an order from INSERT to all keys, events, reservation and CONFIRMED', async (t) => {
  const { sql, redis, orderUrl, inventoryUrl } = await testSystem(t)

  await t.test(
    'a row written by hand reaches entity and status with their TTLs, and its event is published',
    async () => {
      const [row] = await sql<{ id: string; customer: string }[]>`
      insert into orders (customer_id, total_amount) values (gen_random_uuid(), 12.50)
      returning id::text, customer_id::text as customer`
      assert.ok(row)
      const entity = await waitFor(() => redis.get(`order:entity:${row.id}`), { what: 'the entity' })
      assert.equal(JSON.parse(entity).totalAmount, '12.50')
      const status = await waitFor(() => redis.get(`order:status:${row.id}`), { what: 'the status' })
      assert.equal(JSON.parse(status).status, 'PENDING')
      assert.ok((await redis.ttl(`order:entity:${row.id}`)) > 3590)
      assert.ok((await redis.ttl(`order:status:${row.id}`)) > 1790)
      const event = await waitFor(
        async () => (await sql`select payload from trackops.domain_events where key = ${row.id}`)[0],
        { what: 'its event' },
      )
      assert.equal(event['payload'].type, 'ORDER_CREATED')

      assert.equal(await redis.exists(`orders:customer:${row.customer}`), 0, 'a list is made by its first read')
      const first = await fetch(`${orderUrl}/api/customers/${row.customer}/orders`)
      assert.equal(first.headers.get('x-cache'), 'miss')
      const second = await fetch(`${orderUrl}/api/customers/${row.customer}/orders`)
      assert.equal(second.headers.get('x-cache'), 'hit')
      await sql`update orders set status = 'CANCELLED' where id = ${row.id}`
      await waitFor(async () => (await redis.hGet(`orders:customer:${row.customer}`, row.id))?.includes('CANCELLED'), {
        what: 'the list to follow',
      })
      await sql`delete from orders where id = ${row.id}`
      await waitFor(async () => (await redis.exists(`order:entity:${row.id}`)) === 0, { what: 'the entity to go' })
      assert.equal(await redis.hGet(`orders:customer:${row.customer}`, row.id), null)
    },
  )

  await t.test('an order through HTTP is reserved and confirmed', async () => {
    const body = { customerId: crypto.randomUUID(), items: [{ productId: 'p1', quantity: 3, unitPrice: '2.50' }] }
    const created = await fetch(`${orderUrl}/api/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    assert.equal(created.status, 201)
    const order = (await created.json()) as { id: string }
    const token = created.headers.get('x-freshness-token')
    assert.ok(token)
    const read = await fetch(`${orderUrl}/api/orders/${order.id}`, { headers: { 'x-freshness-token': token } })
    assert.equal(read.status, 200)
    await waitFor(
      async () =>
        ((await (await fetch(`${orderUrl}/api/orders/${order.id}/status`)).json()) as { status: string }).status ===
        'CONFIRMED',
      { what: 'the order to be confirmed' },
    )
    const stock = (await (await fetch(`${inventoryUrl}/api/inventory/p1`)).json()) as { reserved: number }
    assert.equal(stock.reserved, 3)
    await fetch(`${orderUrl}/api/orders/${order.id}?reason=changed`, { method: 'DELETE' })
    await waitFor(
      async () =>
        ((await (await fetch(`${inventoryUrl}/api/inventory/p1`)).json()) as { reserved: number }).reserved === 0,
      { what: 'the reservation to be released' },
    )
  })
})
