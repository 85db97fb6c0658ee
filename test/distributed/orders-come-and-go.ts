import { pause } from '../../src/runtime/backoff.ts'
import type { TestSystem } from '../support/system.ts'

/**
 * Orders made and cancelled through the service and behind its back, until the signal: a few dozen a second, so that what piles up
 * during a fault is caught up with soon.
 */
export async function ordersComeAndGo(
  { sql, orderUrl }: Pick<TestSystem, 'sql' | 'orderUrl'>,
  signal: AbortSignal,
): Promise<void> {
  for (let n = 0; await pause(10, signal); n++) {
    const items = [{ productId: `p${n % 3}`, quantity: 1 + (n % 4), unitPrice: '1.00' }]
    // A service that is stopped at the moment: the row was written or it was not.
    const created = await fetch(`${orderUrl}/api/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ customerId: crypto.randomUUID(), items }),
    }).catch(() => undefined)
    const { id } = ((await created?.json().catch(() => ({}))) ?? {}) as { id?: string }
    if (id !== undefined && n % 3 === 0) {
      await fetch(`${orderUrl}/api/orders/${id}`, { method: 'DELETE' }).catch(() => undefined)
    }
    if (n % 2 === 0) await behindTheBack(sql)
  }
}

async function behindTheBack(sql: TestSystem['sql']): Promise<void> {
  const id = crypto.randomUUID()
  await sql.begin(async (tx) => {
    await tx`insert into orders (id, customer_id) values (${id}, gen_random_uuid())`
    await tx`insert into order_items (order_id, product_id, quantity) values (${id}, 'p0', 2), (${id}, 'p1', 1)`
  })
  await sql`update orders set status = 'CANCELLED' where id = ${id} and random() < 0.5`
}
