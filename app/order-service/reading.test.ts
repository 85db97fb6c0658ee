import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, describe, test } from 'node:test'

import { parseToken, TrackOpsError } from '../../src/index.ts'
import { defer } from '../../test/support/defer.ts'
import { createOrderClient, type Order, problem } from '../test-support/order-client.ts'
import { type TestOrders, testOrders } from '../test-support/order-system.ts'
import { suiteScope } from '../test-support/suite-scope.ts'
import { newestFirst } from './read-routes.ts'

let orders: TestOrders
const client = createOrderClient(() => orders)

describe('the order service: reading', () => {
  const scope = suiteScope()
  before(async () => {
    orders = await testOrders(scope)
    defer(scope, () => orders.app.close())
  })

  describe('reading', () => {
    test('ids are the same in any case, and what is no id is 400, what is unknown 404', async () => {
      const order = await client.createdOrder()
      const read = await client.call('GET', `/api/orders/${order.id.toUpperCase()}`)
      assert.equal(read.json<Order>().id, order.id)
      assert.deepEqual(orders.cache.asked.at(-1)?.key, { order_id: order.id })
      for (const url of [
        '/api/orders/1',
        '/api/orders/x/status',
        '/api/customers/me/orders',
        `/api/orders/${'a'.repeat(300)}`,
      ]) {
        assert.equal(problem(await client.call('GET', url), 400), 'malformed-id', url)
      }
      const unknown = randomUUID()
      assert.equal(problem(await client.call('GET', `/api/orders/${unknown}`), 404), 'order-not-found')
      assert.equal(problem(await client.call('GET', `/api/orders/${unknown}/status`), 404), 'order-not-found')
      assert.deepEqual((await client.call('GET', `/api/customers/${unknown}/orders`)).json(), { orders: [] })
    })

    test('the status of an order', async () => {
      const order = await client.createdOrder()
      const read = await client.call('GET', `/api/orders/${order.id}/status`)
      assert.deepEqual(read.json(), { status: 'PENDING', updatedAt: order.updatedAt })
      assert.equal(read.headers['x-cache'], 'hit')
    })

    test('a customer has their orders newest first, those of one moment by id', async () => {
      const customer = randomUUID()
      await orders.sql`
      insert into orders (id, customer_id, total_amount, created_at)
      values ('00000000-0000-4000-8000-00000000000b', ${customer}, null, '2026-01-02 00:00:00.000001Z'),
             ('00000000-0000-4000-8000-00000000000a', ${customer}, 1, '2026-01-02 00:00:00.000001Z'),
             ('00000000-0000-4000-8000-00000000000c', ${customer}, 1, '2026-01-02 00:00:00.000002Z'),
             ('00000000-0000-4000-8000-00000000000d', ${customer}, 1, '2025-01-01Z')`
      const { orders: list } = (await client.call('GET', `/api/customers/${customer}/orders`)).json<{
        orders: Order[]
      }>()
      assert.deepEqual(
        list.map(({ id }) => id.at(-1)),
        ['c', 'a', 'b', 'd'],
      )
      assert.equal(list[2]?.totalAmount, null)
    })

    test('x-cache says hit only where every part was', async () => {
      const order = await client.createdOrder()
      const sourceWith = async (entity: 'hit' | 'miss' | 'bypass', items: 'hit' | 'miss' | 'bypass') => {
        orders.cache.sources.set('order-entity', entity).set('order-items', items)
        return (await client.call('GET', `/api/orders/${order.id}`)).headers['x-cache']
      }
      try {
        assert.equal(await sourceWith('hit', 'hit'), 'hit')
        assert.equal(await sourceWith('hit', 'miss'), 'miss')
        assert.equal(await sourceWith('miss', 'bypass'), 'bypass')
        assert.equal(await sourceWith('bypass', 'hit'), 'bypass')
      } finally {
        orders.cache.sources.clear()
      }
    })

    test('a token reaches the cache; one that is none is 400', async () => {
      const created = await client.create()
      const token = String(created.headers['x-freshness-token'])
      const { id, customerId } = created.json<Order>()
      const urls = [`/api/orders/${id}`, `/api/orders/${id}/status`, `/api/customers/${String(customerId)}/orders`]
      for (const url of urls) {
        const read = await orders.app.inject({ url, headers: { 'x-freshness-token': token } })
        assert.equal(read.statusCode, 200)
        assert.deepEqual(orders.cache.asked.at(-1)?.options?.token, parseToken(token))
        for (const wrong of ['', 'x', `${token}0`, '99999999999999999999-0000000000000000']) {
          const refused = await orders.app.inject({ url, headers: { 'x-freshness-token': wrong } })
          assert.equal(problem(refused, 400), 'malformed-token')
        }
      }
    })
  })

  describe('what is not there', () => {
    test('an unknown address is 404, a method that it lacks 405 with the ones that it has', async () => {
      assert.equal(problem(await client.call('GET', '/api/nothing'), 404), 'route-not-found')
      assert.equal(problem(await client.call('POST', '/'), 404), 'route-not-found')
      const response = await orders.app.inject({ method: 'PATCH', url: `/api/orders/${randomUUID()}?x=1` })
      assert.equal(problem(response, 405), 'method-not-allowed')
      assert.equal(response.headers.allow, 'DELETE, GET, HEAD')
      assert.equal(problem(await client.call('GET', '/api/orders'), 405), 'method-not-allowed')
      assert.equal(problem(await client.call('GET', '/api/orders/%zz'), 400), 'malformed-request')
      assert.equal(problem(await client.call('GET', '/api/orders/%ff'), 400), 'malformed-request')
    })

    test('a database that is down is 503 with retry-after, whatever the code it fails with', async () => {
      const failures = [
        Object.assign(new Error('x'), { code: 'ECONNREFUSED' }),
        Object.assign(new Error('x'), { code: '57P01' }),
        Object.assign(new Error('x'), { code: '53300' }),
        new Error('wrapped', { cause: Object.assign(new Error('x'), { code: 'CONNECTION_CLOSED' }) }),
        new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })]),
        new TrackOpsError('DATABASE_BUSY', 'x'),
        new TrackOpsError('POSTGRES_UNREACHABLE', 'x'),
      ]
      try {
        for (const failure of failures) {
          orders.cache.failure = failure
          const response = await client.call('GET', `/api/orders/${randomUUID()}`)
          assert.equal(problem(response, 503), 'unavailable')
          assert.match(String(response.headers['retry-after']), /^\d+$/)
        }
        orders.cache.failure = new Error('a secret')
        const response = await client.call('GET', `/api/orders/${randomUUID()}`)
        assert.equal(problem(response, 500), 'internal-error')
        assert.ok(!response.body.includes('secret'))
      } finally {
        orders.cache.failure = undefined
      }
    })

    test('the documentation names every route', async () => {
      const document = (await client.call('GET', '/openapi.json')).json<{
        openapi: string
        paths: Record<string, object>
      }>()
      assert.match(document.openapi, /^3\.1/)
      assert.deepEqual(Object.keys(document.paths).toSorted(), [
        '/api/customers/{customerId}/orders',
        '/api/orders',
        '/api/orders/{id}',
        '/api/orders/{id}/confirm',
        '/api/orders/{id}/deliver',
        '/api/orders/{id}/process',
        '/api/orders/{id}/ship',
        '/api/orders/{id}/status',
      ])
      assert.equal((await orders.app.inject({ url: '/docs' })).statusCode, 200)
      assert.equal((await orders.app.inject({ url: '/docs/static/swagger-ui-bundle.js' })).statusCode, 200)
      const missing = await orders.app.inject({ url: '/docs/static/nothing.js' })
      assert.equal(problem(missing, 404), 'route-not-found')
    })
  })
})

test('newest first holds for times that only SQL writes', () => {
  const newestToOldest = [
    'infinity',
    '20000-01-01T00:00:00.000000Z',
    '2026-01-02T00:00:00.000000Z',
    '0001-01-01T00:00:00.000000Z',
    '0043-03-15 12:00:00+00 BC',
    '0044-03-15 12:00:00+00 BC',
    '-infinity',
  ]
  const sorted = newestToOldest
    .map((createdAt) => ({ id: 'x', createdAt }))
    .toReversed()
    .toSorted(newestFirst)
  assert.deepEqual(
    sorted.map(({ createdAt }) => createdAt),
    newestToOldest,
  )
})
