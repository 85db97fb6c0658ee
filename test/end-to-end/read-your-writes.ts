/** Writes, each read back at once with its token. */
import assert from 'node:assert/strict'

import type { TestSystem } from '../support/system.ts'

interface Order {
  readonly id: string
  readonly customerId: string
  readonly status: string
  readonly version: number
}

const STEPS = ['confirm', 'process', 'ship', 'deliver'] as const
const STATUS_AFTER = { confirm: 'CONFIRMED', process: 'PROCESSING', ship: 'SHIPPED', deliver: 'DELIVERED' } as const

/** Creates orders and takes them through their states until `writes` are done; gives how many answers were old. */
export async function readYourWrites(
  { orderUrl }: Pick<TestSystem, 'orderUrl'>,
  options: { readonly writes: number; readonly concurrency: number },
): Promise<{ readonly writes: number; readonly old: readonly string[] }> {
  let writes = 0
  const old: string[] = []
  const customers = Array.from({ length: Math.max(1, options.concurrency) }, () => crypto.randomUUID())

  const check = async (order: Order, token: string, note: string): Promise<void> => {
    const headers = { 'x-freshness-token': token }
    const get = async (path: string): Promise<{ status: number; body: unknown }> => {
      const response = await fetch(`${orderUrl}/api/${path}`, { headers })
      return { status: response.status, body: await response.json() }
    }
    const [entity, status, list] = await Promise.all([
      get(`orders/${order.id}`),
      get(`orders/${order.id}/status`),
      get(`customers/${order.customerId}/orders`),
    ])
    // Nobody else writes these orders, but a reservation confirms them: then they are newer, not older.
    const isSame = (found: unknown): boolean => {
      const status = (found as { status?: string } | undefined)?.status
      return status === order.status || (order.status === 'PENDING' && status === 'CONFIRMED')
    }
    if ((entity.body as Order).version < order.version || entity.status !== 200) old.push(`${note}: entity`)
    if (!isSame(status.body)) old.push(`${note}: status`)
    if (!isSame((list.body as { orders?: Order[] }).orders?.find(({ id }) => id === order.id)))
      old.push(`${note}: list`)
  }

  const worker = async (index: number): Promise<void> => {
    for (let round = 0; writes < options.writes; round++) {
      const customerId = customers[(index + round) % customers.length]
      const created = await send(`${orderUrl}/api/orders`, 'POST', {
        customerId,
        items: [{ productId: `p${index}`, quantity: 1, unitPrice: '1.50' }],
      })
      writes++
      await check(created.order, created.token, 'created')
      for (const step of STEPS) {
        if (writes >= options.writes) return
        writes++
        const changed = await send(`${orderUrl}/api/orders/${created.order.id}/${step}`, 'POST')
        assert.equal(changed.order.status, STATUS_AFTER[step])
        await check(changed.order, changed.token, step)
      }
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, (_, index) => worker(index)))
  return { writes, old }
}

async function send(url: string, method: string, body?: object): Promise<{ order: Order; token: string }> {
  const response = await fetch(url, {
    method,
    ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
  })
  const order = (await response.json()) as Order
  assert.ok(response.status === 201 || response.status === 200, `${method} ${url}: ${JSON.stringify(order)}`)
  return { order, token: response.headers.get('x-freshness-token') ?? assert.fail('a write without a token') }
}
