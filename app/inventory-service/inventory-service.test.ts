import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { before, describe, test } from 'node:test'

import fc from 'fast-check'

import { parseToken, type DomainEvent } from '../../src/index.ts'
import { defer } from '../../test/support/defer.ts'
import { ORDER_CANCELLED, ORDER_CREATED, orderEventId } from '../order-events.ts'
import { type TestInventory, testInventory } from '../test-support/order-system.ts'
import { pileUp } from '../test-support/pile-up.ts'
import { suiteScope } from '../test-support/suite-scope.ts'
import { textOf } from '../text.ts'
import { defaultStockOf } from './inventory-service.ts'
import { createOrderEventHandler } from './order-event-handler.ts'

const DEFAULT_STOCK = 100
let inventory: TestInventory
const handleOrderEvent = createOrderEventHandler({ defaultStock: DEFAULT_STOCK })

type Items = readonly { productId: string | null; quantity: number | null }[]

async function created(orderId: string, items: Items): Promise<void> {
  await handle({ type: ORDER_CREATED, orderId, items })
}

async function cancelled(orderId: string): Promise<void> {
  await handle({ type: ORDER_CANCELLED, orderId, reason: null })
}

async function handle(facts: { type: string; orderId: string } & DomainEvent['payload']): Promise<void> {
  const eventId = orderEventId(facts.type, facts.orderId)
  const event = { eventId, topic: 'order-events', key: facts.orderId, payload: { eventId, ...facts } }
  await inventory.sql.begin((tx) => handleOrderEvent(tx, event))
}

async function stock(productId: string) {
  return (await inventory.app.inject({ url: `/api/inventory/${encodeURIComponent(productId)}` })).json<object>()
}

async function put(productId: string, onHand: unknown) {
  return await inventory.app.inject({ method: 'PUT', url: `/api/inventory/${productId}`, payload: { onHand } })
}

async function reservation(orderId: string) {
  return (await inventory.app.inject({ url: `/api/reservations/${orderId.toUpperCase()}` })).json<object>()
}

async function answersTo(orderId: string) {
  return (await inventory.announced()).filter((payload) => payload.orderId === orderId)
}

describe('the inventory service', () => {
  const scope = suiteScope()
  before(async () => {
    inventory = await testInventory(scope, { defaultStock: DEFAULT_STOCK })
    defer(scope, () => inventory.app.close())
  })
  test('a product that nobody stocked has the default stock', async () => {
    const productId = 'never heard of / ü'
    assert.deepEqual(await stock(productId), { productId, onHand: 100, reserved: 0, available: 100 })
  })

  test('an order reserves all of its items, lines of one product together, and is answered once', async () => {
    const orderId = randomUUID()
    const items = [
      { productId: 'all-B', quantity: 2 },
      { productId: 'all-A', quantity: 1 },
      { productId: 'all-B', quantity: 3 },
    ]
    await created(orderId, items)
    await created(orderId, items)
    assert.deepEqual(await stock('all-B'), { productId: 'all-B', onHand: 100, reserved: 5, available: 95 })
    assert.deepEqual(await stock('all-A'), { productId: 'all-A', onHand: 100, reserved: 1, available: 99 })
    assert.deepEqual(await reservation(orderId), {
      orderId,
      status: 'RESERVED',
      reason: null,
      items: [
        { productId: 'all-A', quantity: 1 },
        { productId: 'all-B', quantity: 5 },
      ],
    })
    const [answer, ...others] = await answersTo(orderId)
    assert.deepEqual(others, [])
    const { occurredAt, ...facts } = answer ?? {}
    assert.deepEqual(facts, {
      eventId: `INVENTORY_RESERVED:${orderId}`,
      type: 'INVENTORY_RESERVED',
      orderId,
      reason: null,
    })
    assert.ok(!Number.isNaN(Date.parse(textOf(occurredAt))))
  })

  test('where one item is short, none is reserved, and the answer says which', async () => {
    const orderId = randomUUID()
    await put('short-B', 4)
    await created(orderId, [
      { productId: 'short-A', quantity: 1 },
      { productId: 'short-B', quantity: 5 },
    ])
    assert.deepEqual(await stock('short-A'), { productId: 'short-A', onHand: 100, reserved: 0, available: 100 })
    assert.deepEqual(await stock('short-B'), { productId: 'short-B', onHand: 4, reserved: 0, available: 4 })
    const [answer] = await answersTo(orderId)
    assert.equal(answer?.type, 'INVENTORY_RESERVATION_FAILED')
    assert.equal(answer?.reason, 'not enough of product short-B: 1 more needed')
    await cancelled(orderId)
    assert.deepEqual(await stock('short-B'), { productId: 'short-B', onHand: 4, reserved: 0, available: 4 })
  })

  test('a cancellation gives back, once', async () => {
    const orderId = randomUUID()
    await created(orderId, [{ productId: 'back', quantity: 7 }])
    await cancelled(orderId)
    await cancelled(orderId)
    await created(orderId, [{ productId: 'back', quantity: 7 }])
    assert.deepEqual(await stock('back'), { productId: 'back', onHand: 100, reserved: 0, available: 100 })
    assert.equal((await answersTo(orderId)).length, 1)
  })

  test('a cancellation that comes first leaves nothing to reserve and nothing to answer', async () => {
    const orderId = randomUUID()
    await cancelled(orderId)
    await created(orderId, [{ productId: 'first', quantity: 7 }])
    assert.deepEqual(await stock('first'), { productId: 'first', onHand: 100, reserved: 0, available: 100 })
    assert.deepEqual(await answersTo(orderId), [])
    assert.deepEqual(await reservation(orderId), { orderId, status: 'CANCELLED', reason: null, items: [] })
  })

  test('an order without items reserves nothing and gets no answer', async () => {
    const orderId = randomUUID()
    await created(orderId, [])
    assert.deepEqual(await answersTo(orderId), [])
    assert.equal((await inventory.app.inject({ url: `/api/reservations/${orderId}` })).statusCode, 404)
  })

  test('lines that no stock can serve are answered as failed', async () => {
    for (const item of [
      { productId: null, quantity: 1 },
      { productId: 'odd', quantity: null },
      { productId: 'odd', quantity: 0 },
      { productId: 'odd', quantity: -5 },
      { productId: randomBytes(3000).toString('hex'), quantity: 1 },
    ]) {
      const orderId = randomUUID()
      await created(orderId, [{ productId: 'odd', quantity: 1 }, item])
      assert.equal((await answersTo(orderId))[0]?.type, 'INVENTORY_RESERVATION_FAILED')
    }
    assert.deepEqual(await stock('odd'), { productId: 'odd', onHand: 100, reserved: 0, available: 100 })
  })

  test('an event without an order id fails for good; one of another type is not ours', async () => {
    await assert.rejects(created('not an id', []), { code: 'EVENT_FAILED' })
    await handle({ type: 'ORDER_PRAISED', orderId: 'not an id' })
  })

  test('reserved is the sum over orders reserved and not cancelled, in whatever order events arrive, also at the same time', async () => {
    const products = ['sum-A', 'sum-B', 'sum-C']
    await put('sum-A', 1_000)
    await put('sum-B', 12)
    const item = fc.record({ productId: fc.constantFrom(...products), quantity: fc.integer({ min: 1, max: 9 }) })
    const order = fc.record({
      id: fc.uuid({ version: 4 }),
      items: fc.array(item, { maxLength: 4 }),
      events: fc.shuffledSubarray(['created', 'cancelled', 'created again'] as const),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(order, { maxLength: 8 }), async (orders) => {
        await Promise.all(
          orders.map(async ({ id, items, events }) => {
            for (const event of events) await (event === 'cancelled' ? cancelled(id) : created(id, items))
          }),
        )
        const rows = await inventory.sql`
        select inventory.product_id from inventory
        where reserved <> (
          select coalesce(sum(quantity), 0) from reservation_items join reservations using (order_id)
          where status = 'RESERVED' and reservation_items.product_id = inventory.product_id
        ) or reserved > coalesce(on_hand, ${DEFAULT_STOCK})`
        assert.deepEqual([...rows], [])
        for (const { id, events } of orders) {
          if (!events.includes('cancelled')) continue
          const [row] = await inventory.sql`select status from reservations where order_id = ${id}`
          assert.equal(row?.status, 'CANCELLED')
        }
      }),
      { numRuns: 25 },
    )
  })

  test('of orders at the same time that want the last pieces, one gets them', async () => {
    await put('last', 5)
    await pileUp(inventory.sql, 'reservation_items', 4, () =>
      created(randomUUID(), [{ productId: 'last', quantity: 5 }]),
    )
    assert.deepEqual(await stock('last'), { productId: 'last', onHand: 5, reserved: 5, available: 0 })
  })

  test('stock can be set, also below what is reserved; then nothing more is reserved', async () => {
    const orderId = randomUUID()
    const response = await put('set', 10)
    assert.equal(response.statusCode, 200)
    assert.ok(parseToken(String(response.headers['x-freshness-token'])))
    assert.deepEqual(response.json(), { productId: 'set', onHand: 10, reserved: 0, available: 10 })
    await created(orderId, [{ productId: 'set', quantity: 10 }])
    assert.deepEqual((await put('set', 4)).json(), { productId: 'set', onHand: 4, reserved: 10, available: -6 })
    const late = randomUUID()
    await created(late, [{ productId: 'set', quantity: 1 }])
    assert.equal((await answersTo(late))[0]?.type, 'INVENTORY_RESERVATION_FAILED')
    await cancelled(orderId)
    assert.deepEqual(await stock('set'), { productId: 'set', onHand: 4, reserved: 0, available: 4 })
  })

  test('what is no stock is 400 as a problem document', async () => {
    for (const onHand of [-1, 1.5, '5', null, 2 ** 31, undefined]) {
      const response = await put('wrong', onHand)
      assert.equal(response.statusCode, 400, String(onHand))
      assert.equal(response.headers['content-type'], 'application/problem+json')
    }
    for (const url of [
      '/api/inventory/a%00b',
      '/api/reservations/1',
      '/api/inventory?limit=0',
      '/api/inventory?limit=1001',
    ]) {
      assert.equal((await inventory.app.inject({ url })).statusCode, 400, url)
    }
    const missing = await inventory.app.inject({ url: `/api/reservations/${randomUUID()}` })
    assert.equal(missing.json<{ type: string }>().type, 'urn:trackops:problem:reservation-not-found')
  })

  test('the list goes by id, a page at a time', async () => {
    for (const productId of ['~page-b', '~page-a', '~page-c']) await put(productId, 1)
    const page = async (query: string) => {
      const response = await inventory.app.inject({ url: `/api/inventory?${query}` })
      return response.json<{ inventory: { productId: string }[] }>().inventory.map(({ productId }) => productId)
    }
    assert.deepEqual(await page('after=~page&limit=2'), ['~page-a', '~page-b'])
    assert.deepEqual(await page('after=~page-b'), ['~page-c'])
  })

  test('the default stock is a whole number that an order can ask for', () => {
    assert.equal(defaultStockOf(undefined), 1_000_000)
    assert.equal(defaultStockOf('0'), 0)
    for (const wrong of ['-1', '1.5', 'many', '2147483648', '99999999999']) {
      assert.throws(() => defaultStockOf(wrong), { code: 'CONFIG_INVALID' }, wrong)
    }
  })
})
