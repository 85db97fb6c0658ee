import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, describe, test } from 'node:test'

import { parseToken } from '../../src/index.ts'
import { defer } from '../../test/support/defer.ts'
import { createOrderClient, type Order, problem } from '../test-support/order-client.ts'
import { type TestOrders, testOrders } from '../test-support/order-system.ts'
import { pileUp } from '../test-support/pile-up.ts'
import { suiteScope } from '../test-support/suite-scope.ts'

let orders: TestOrders
const client = createOrderClient(() => orders)

describe('the order service: creating', () => {
  const scope = suiteScope()
  before(async () => {
    orders = await testOrders(scope)
    defer(scope, () => orders.app.close())
  })

  describe('creating', () => {
    test('an order comes back as the views show it, its total exact, with a token and a place', async () => {
      const customerId = randomUUID()
      const address = { street: 'Main St 1', city: 'Springfield' }
      const response = await client.create({ customerId: customerId.toUpperCase(), address, phoneNumber: '555-1' })
      assert.equal(response.statusCode, 201)
      const order = response.json<Order>()
      assert.ok(parseToken(String(response.headers['x-freshness-token'])))
      assert.equal(response.headers.location, `/api/orders/${order.id}`)
      assert.match(order.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
      const read = await client.call('GET', `/api/orders/${order.id}`)
      assert.deepEqual(order, read.json())
      assert.deepEqual(Object.keys(order), [
        'id',
        'customerId',
        'status',
        'totalAmount',
        'address',
        'deliveryInstructions',
        'createdAt',
        'updatedAt',
        'version',
        'items',
      ])
      assert.deepEqual(
        { ...order, items: order.items.map((item) => ({ ...item, id: '' })) },
        {
          id: order.id,
          customerId,
          status: 'PENDING',
          totalAmount: '12.50',
          address: { street: 'Main St 1', city: 'Springfield', state: null, postalCode: null, country: null },
          deliveryInstructions: null,
          createdAt: order.createdAt,
          updatedAt: order.createdAt,
          version: 0,
          items: [
            { id: '', productId: 'SKU-1', productName: null, quantity: 1, unitPrice: '12.20', totalPrice: '12.20' },
            { id: '', productId: 'SKU-2', productName: 'Pen', quantity: 3, unitPrice: '0.10', totalPrice: '0.30' },
          ],
        },
      )
      const [row] = await orders.sql`select phone_number from orders where id = ${order.id}`
      assert.equal(row?.phone_number, '555-1')
    })

    test('a bad body is 400, says where, and writes nothing', async () => {
      const item = { productId: 'A', quantity: 1, unitPrice: 1 }
      const wrong: [object, RegExp][] = [
        [{ customerId: 'me' }, /customerId must be a UUID/],
        [{ customerId: null }, /customerId/],
        [{ items: [] }, /items/],
        [{ items: 'none' }, /items/],
        [{ items: [{ ...item, quantity: 0 }] }, /items\/0\/quantity/],
        [{ items: [{ ...item, quantity: 1.5 }] }, /items\/0\/quantity/],
        [{ items: [{ ...item, quantity: '1' }] }, /items\/0\/quantity/],
        [{ items: [{ ...item, quantity: 2 ** 31 }] }, /items\/0\/quantity/],
        [{ items: [item, { ...item, unitPrice: 1.005 }] }, /items\/1\/unitPrice/],
        [{ items: [{ ...item, unitPrice: -1 }] }, /items\/0\/unitPrice/],
        [{ items: [{ ...item, unitPrice: '1e3' }] }, /items\/0\/unitPrice/],
        [{ items: [{ ...item, unitPrice: null }] }, /items\/0\/unitPrice/],
        [{ items: [{ ...item, quantity: 2, unitPrice: '9999999999.99' }] }, /items/],
        [{ items: [{ ...item, productId: '' }] }, /items\/0\/productId/],
        [{ items: [{ ...item, productId: 'x'.repeat(201) }] }, /items\/0\/productId/],
        [{ items: [{ ...item, productName: 'a\0b' }] }, /NUL/],
        [{ deliveryInstructions: '\ud800' }, /surrogate/],
        [{ address: { zip: '1' } }, /address has a member that is not known: "zip"/],
        [{ address: 'home' }, /address/],
        [{ status: 'DELIVERED' }, /"status"/],
      ]
      const [before] = await orders.sql`select count(*) from orders`
      for (const [body, detail] of wrong) {
        const response = await client.create(body)
        assert.equal(problem(response, 400), 'invalid-request', JSON.stringify(body))
        assert.match(response.json<{ detail: string }>().detail, detail)
      }
      const [now] = await orders.sql`select count(*) from orders`
      assert.deepEqual(now, before)
    })

    test('the largest amount that the column holds is taken', async () => {
      const order = await client.createdOrder({ items: [{ productId: 'A', quantity: 1, unitPrice: '9999999999.99' }] })
      assert.equal(order.totalAmount, '9999999999.99')
    })

    test('bodies that cannot be read are told apart', async () => {
      const send = async (payload: string | Buffer, type = 'application/json') =>
        await orders.app.inject({ method: 'POST', url: '/api/orders', payload, headers: { 'content-type': type } })
      assert.equal(problem(await send('{"customerId":'), 400), 'malformed-request')
      assert.equal(problem(await send(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), 400), 'malformed-request')
      assert.equal(problem(await send('{"__proto__": {"a": 1}}'), 400), 'invalid-request')
      assert.equal(problem(await send('['.repeat(500_000)), 400), 'malformed-request')
      const deep = `${'['.repeat(400_000)}${']'.repeat(400_000)}`
      assert.ok(['malformed-request', 'invalid-request'].includes(problem(await send(deep), 400)))
      assert.equal(problem(await send('[]'), 400), 'invalid-request')
      assert.equal(problem(await send('null'), 400), 'invalid-request')
      assert.equal(problem(await send(''), 400), 'invalid-request')
      assert.equal(problem(await send('a=b', 'application/x-www-form-urlencoded'), 415), 'unsupported-media-type')
      assert.equal(problem(await send('{}', 'text/plain'), 415), 'unsupported-media-type')
      assert.equal(problem(await send(`{"a":"${'x'.repeat(1024 * 1024)}"}`), 413), 'body-too-large')
    })
  })

  describe('idempotency', () => {
    test('the same key gets the same answer, to the byte, also after the order went on', async () => {
      const body = { customerId: randomUUID() }
      const headers = { 'idempotency-key': randomUUID() }
      const first = await client.create(body, headers)
      const { id } = first.json<Order>()
      await client.call('POST', `/api/orders/${id}/confirm`)
      const again = await client.create(body, headers)
      assert.equal(again.statusCode, 201)
      assert.equal(again.body, first.body)
      assert.equal(again.headers.location, first.headers.location)
      assert.ok(parseToken(String(again.headers['x-freshness-token'])))
    })

    test('the same order in other words is the same; another order is 422', async () => {
      const customerId = randomUUID()
      const headers = { 'idempotency-key': randomUUID() }
      const item = { quantity: 1, productId: 'A' }
      const first = await client.create({ customerId, items: [{ ...item, unitPrice: '1.50' }] }, headers)
      const body = { customerId: customerId.toUpperCase(), items: [{ ...item, unitPrice: 1.5 }] }
      const reworded = await client.create(body, headers)
      assert.equal(reworded.body, first.body)
      const other = await client.create({ customerId, items: [{ ...item, unitPrice: '1.51' }] }, headers)
      assert.equal(problem(other, 422), 'idempotency-key-reused')
    })

    test('many at once with one key make one order', async () => {
      const customerId = randomUUID()
      const headers = { 'idempotency-key': randomUUID() }
      const responses = await pileUp(orders.sql, 'order_items', 6, () => client.create({ customerId }, headers))
      assert.deepEqual([...new Set(responses.map(({ statusCode }) => statusCode))], [201])
      assert.equal(new Set(responses.map(({ body }) => body)).size, 1)
      const rows = await orders.sql`select id from orders where customer_id = ${customerId}`
      assert.equal(rows.length, 1)
    })

    test('a key of a refused request is free, and a key that is none is 400', async () => {
      const headers = { 'idempotency-key': randomUUID() }
      problem(await client.create({ items: [] }, headers), 400)
      assert.equal((await client.create({}, headers)).statusCode, 201)
      for (const key of ['', 'with space', 'x'.repeat(256), 'ümlaut']) {
        problem(await client.create({}, { 'idempotency-key': key }), 400)
      }
      assert.equal((await client.create({}, { 'idempotency-key': 'x'.repeat(255) })).statusCode, 201)
    })
  })
})
