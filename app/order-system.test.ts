import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'

import type { Sql, TransactionSql } from 'postgres'
import { Registry } from 'prom-client'

import type { RowChangeView, ServiceContext } from '../src/index.ts'
import { defer, type TestScope } from '../test/support/defer.ts'
import { freePort } from '../test/support/free-port.ts'
import { waitFor } from '../test/support/wait-for.ts'
import { inventoryService } from './inventory-service/inventory-service.ts'
import { deriveOrderEvents, orderEvents } from './order-events.ts'
import { orderService } from './order-service/order-service.ts'
import { createDirectReader } from './test-support/direct-reader.ts'
import { createMemoryBus, type MemoryBus } from './test-support/memory-bus.ts'
import { migratedDatabase, SILENT, testInventory } from './test-support/order-system.ts'

/** Both services as `trackops up` starts them, on ports of this machine; the change log is played by `publishChanges`. */
async function startSystem(t: TestScope) {
  const orders = await migratedDatabase(t, 'orders')
  const { sql: inventory } = await testInventory(t, { defaultStock: 10 })
  const bus = createMemoryBus()
  const stop = new AbortController()
  const metrics = new Registry()
  const [orderPort, inventoryPort] = [await freePort(), await freePort()]
  const context = (port: number): ServiceContext => ({
    log: SILENT,
    metrics,
    host: '127.0.0.1',
    port,
    database: (name) => (name === 'source' ? orders : inventory),
    cache: createDirectReader(orders),
    events: bus,
    signal: stop.signal,
  })
  const running = [
    await orderService.start(context(orderPort)),
    await inventoryService({ defaultStock: 10 }).start(context(inventoryPort)),
  ]
  const close = async () => {
    stop.abort()
    await Promise.all(running.map((service) => service.close()))
  }
  defer(t, close)
  const base = `http://127.0.0.1:${orderPort}`
  return { orders, inventory, bus, metrics, close, base, inventoryBase: `http://127.0.0.1:${inventoryPort}`, context }
}

test('an order is confirmed once its items are reserved, rejected where they cannot be, and gives back when cancelled', async (t) => {
  const { orders, bus, base, inventoryBase } = await startSystem(t)
  const small = await createOrder(base, 4)
  const large = await createOrder(base, 40)
  await publishChanges(orders, bus)
  await statusBecomes(base, small, 'CONFIRMED')
  await statusBecomes(base, large, 'REJECTED')
  assert.deepEqual(await getJson(`${inventoryBase}/api/inventory/SKU-1`), {
    productId: 'SKU-1',
    onHand: 10,
    reserved: 4,
    available: 6,
  })
  await fetch(`${base}/api/orders/${small}`, { method: 'DELETE' })
  await publishChanges(orders, bus)
  await waitFor(async () => await getJson(`${inventoryBase}/api/inventory/SKU-1`), {
    what: 'the reservation to be given back',
    until: (stock) => (stock as { reserved: number }).reserved === 0,
  })
})

test('requests are measured by route, never by id', async (t) => {
  const { base, metrics } = await startSystem(t)
  const id = randomUUID()
  await (await fetch(`${base}/api/orders/${id}`)).arrayBuffer()
  const text = await waitFor(() => metrics.metrics(), {
    what: 'the request to be measured',
    until: (all) => all.includes('route="/api/orders/:id"'),
  })
  assert.match(text, /http_request_duration_seconds_count\{.*service="order-service"/)
  assert.ok(!text.includes(id))
})

test('a port that is taken says so, and what is in the way is not touched', async (t) => {
  const { base, context } = await startSystem(t)
  await assert.rejects(orderService.start(context(Number(new URL(base).port))), {
    code: 'PORT_TAKEN',
    message: /order-service.*127\.0\.0\.1:\d+.*TRACKOPS_ORDER_PORT/,
  })
  assert.equal((await fetch(`${base}/openapi.json`)).status, 200)
})

test('a closed service answers no more, and its loops have ended', async (t) => {
  const { base, close } = await startSystem(t)
  await close()
  await assert.rejects(fetch(`${base}/openapi.json`))
})

test('what is not HTTP, and headers without end, are answered as problems', async (t) => {
  const { base } = await startSystem(t)
  const answer = await fetch(`${base}/`, { headers: { 'x-long': 'x'.repeat(20_000) } })
  assert.equal(answer.status, 431)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  assert.equal(((await answer.json()) as { type: string }).type, 'urn:trackops:problem:headers-too-large')
})

/** Every order as the change log would tell it, from the beginning: ids of events make that harmless. */
async function publishChanges(orders: Sql, bus: MemoryBus): Promise<void> {
  const rows = await orders<Record<string, string>[]>`
    select id::text, customer_id::text, status, total_amount::text, cancellation_reason, created_at::text, updated_at::text
    from orders`
  const source = { lsn: '0/1', txId: 1, commitTime: '2026-11-22T18:48:24.123456Z' }
  const changes = rows.map((after): RowChangeView => ({ op: 'r', before: null, after, source }))
  const events = changes.flatMap((change) => deriveOrderEvents(change))
  bus.publish((await orders.begin(async (tx: TransactionSql) => await orderEvents.enrich?.(tx, events))) ?? [])
}

async function createOrder(base: string, quantity: number): Promise<string> {
  const response = await fetch(`${base}/api/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ customerId: randomUUID(), items: [{ productId: 'SKU-1', quantity, unitPrice: '1.00' }] }),
  })
  return ((await response.json()) as { id: string }).id
}

async function statusBecomes(base: string, id: string, status: string): Promise<void> {
  await waitFor(async () => await getJson(`${base}/api/orders/${id}/status`), {
    what: `order to become ${status}`,
    until: (answer) => (answer as { status: string }).status === status,
  })
}

async function getJson(url: string): Promise<unknown> {
  return await (await fetch(url)).json()
}
