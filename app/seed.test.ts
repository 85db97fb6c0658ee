import assert from 'node:assert/strict'
import { test } from 'node:test'

import { seedOrders } from './seed.ts'
import { migratedDatabase } from './test-support/order-system.ts'

test('sample orders are as many as asked for, cost what their items cost, and wait for nobody', async (t) => {
  const sql = await migratedDatabase(t, 'orders')
  await seedOrders(sql, 5_003)
  const [seen] = await sql`
    select count(*)::int as orders,
           count(*) filter (where status not in ('SHIPPED', 'DELIVERED'))::int as waiting,
           count(*) filter (where total_amount is distinct from (
             select sum(total_price) from order_items where order_id = orders.id
           ))::int as wrong
    from orders`
  assert.deepEqual(seen, { orders: 5_003, waiting: 0, wrong: 0 })
})
