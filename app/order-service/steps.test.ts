import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, describe, test } from 'node:test'

import { parseToken } from '../../src/index.ts'
import { defer } from '../../test/support/defer.ts'
import { createOrderClient, type Order, problem } from '../test-support/order-client.ts'
import { type TestOrders, testOrders } from '../test-support/order-system.ts'
import { suiteScope } from '../test-support/suite-scope.ts'

let orders: TestOrders
const client = createOrderClient(() => orders)

describe('the order service: steps', () => {
  const scope = suiteScope()
  before(async () => {
    orders = await testOrders(scope)
    defer(scope, () => orders.app.close())
  })

  describe('steps', () => {
    test('an order goes its way step by step, each with a new version and a token', async () => {
      const { id } = await client.createdOrder()
      const steps = { confirm: 'CONFIRMED', process: 'PROCESSING', ship: 'SHIPPED', deliver: 'DELIVERED' }
      let version = 0
      for (const [verb, status] of Object.entries(steps)) {
        const response = await client.call('POST', `/api/orders/${id}/${verb}`)
        const order = response.json<Order>()
        assert.deepEqual([response.statusCode, order.status, order.version], [200, status, (version += 1)])
        assert.ok(parseToken(String(response.headers['x-freshness-token'])))
        assert.deepEqual(order, (await client.call('GET', `/api/orders/${id}`)).json())
      }
    })

    test('the same state again is no step: 200, nothing changed', async () => {
      const { id } = await client.createdOrder()
      const first = await client.call('PUT', `/api/orders/${id}/status`, { status: 'CONFIRMED' })
      const again = await client.call('PUT', `/api/orders/${id}/status`, { status: 'CONFIRMED' })
      assert.equal(again.statusCode, 200)
      assert.equal(again.body, first.body)
      assert.ok(again.headers['x-freshness-token'])
    })

    test('a wrong step is 409 and says from where to where; an unknown status 400', async () => {
      const order = await client.createdOrder()
      const response = await client.call('POST', `/api/orders/${order.id}/ship`)
      assert.equal(problem(response, 409), 'invalid-transition')
      const { currentStatus, requestedStatus } = response.json<Record<string, string>>()
      assert.deepEqual([currentStatus, requestedStatus], ['PENDING', 'SHIPPED'])
      for (const status of ['shipped', 'GONE', '']) {
        assert.equal(
          problem(await client.call('PUT', `/api/orders/${order.id}/status`, { status }), 400),
          'unknown-status',
        )
      }
      problem(await client.call('PUT', `/api/orders/${order.id}/status`, {}), 400)
      problem(await client.call('PUT', `/api/orders/${order.id}/status`), 400)
      assert.deepEqual((await client.call('GET', `/api/orders/${order.id}`)).json(), order)
      const url = `/api/orders/${randomUUID()}`
      assert.equal(problem(await client.call('PUT', `${url}/status`, { status: 'SHIPPED' }), 404), 'order-not-found')
      assert.equal(problem(await client.call('DELETE', url), 404), 'order-not-found')
    })

    test('DELETE cancels with a reason, once, and not from SHIPPED on', async () => {
      const { id } = await client.createdOrder()
      const cancelled = await client.call('DELETE', `/api/orders/${id}?reason=changed%20my%20mind`)
      assert.deepEqual([cancelled.statusCode, cancelled.json<Order>().status], [200, 'CANCELLED'])
      const again = await client.call('DELETE', `/api/orders/${id}?reason=other`)
      assert.equal(again.body, cancelled.body)
      const [row] = await orders.sql`select cancellation_reason from orders where id = ${id}`
      assert.equal(row?.cancellation_reason, 'changed my mind')
      for (const status of ['SHIPPED', 'DELIVERED', 'REJECTED', 'ON_HOLD']) {
        const [other] = await orders.sql<
          { id: string }[]
        >`insert into orders (status) values (${status}) returning id::text`
        assert.equal(problem(await client.call('DELETE', `/api/orders/${other?.id}`), 409), 'invalid-transition')
      }
      problem(await client.call('DELETE', `/api/orders/${id}?reason=${'x'.repeat(501)}`), 400)
      problem(await client.call('DELETE', `/api/orders/${id}?reason=a%00b`), 400)
      problem(await client.call('DELETE', `/api/orders/${id}?reason=a&reason=b`), 400)
    })

    test('of steps at the same time that exclude each other, one is done', async () => {
      const { id } = await client.createdOrder()
      await client.call('POST', `/api/orders/${id}/confirm`)
      await client.call('POST', `/api/orders/${id}/process`)
      const race = [1, 2, 3, 4].flatMap(() => [
        client.call('POST', `/api/orders/${id}/ship`),
        client.call('DELETE', `/api/orders/${id}`),
      ])
      const statuses = (await Promise.all(race)).map(({ statusCode }) => statusCode)
      assert.deepEqual(
        statuses.toSorted((a, b) => a - b),
        [200, 200, 200, 200, 409, 409, 409, 409],
      )
      const order = (await client.call('GET', `/api/orders/${id}`)).json<Order>()
      assert.equal(order.version, 3)
    })

    test('an order that SQL wrote can be read and taken on', async () => {
      const [row] = await orders.sql<{ id: string }[]>`
      insert into orders (customer_id, total_amount) values (gen_random_uuid(), 12.50) returning id::text`
      const order = (await client.call('POST', `/api/orders/${row?.id}/confirm`)).json<Order>()
      assert.deepEqual([order.status, order.totalAmount, order.address, order.items], ['CONFIRMED', '12.50', null, []])
    })
  })

  describe('SQL behind the services', () => {
    test('an update counts the version and stamps the time, unless it sets them; one that changes nothing does not', async () => {
      const { sql } = orders
      const [first] = await sql<{ id: string }[]>`insert into orders default values returning id::text`
      const id = String(first?.id)
      const row = async () => {
        const [now] = await sql`select version::int, updated_at > created_at as moved from orders where id = ${id}`
        return now
      }
      await sql`update orders set status = status where id = ${id}`
      assert.deepEqual(await row(), { version: 0, moved: false })
      await sql`update orders set status = 'ON_HOLD' where id = ${id}`
      assert.deepEqual(await row(), { version: 1, moved: true })
      await sql`update orders set status = 'X', version = 10, updated_at = created_at - interval '1 day' where id = ${id}`
      assert.deepEqual(await row(), { version: 10, moved: false })
    })

    test('an order may get another id, and takes its items along', async () => {
      const { id } = await client.createdOrder()
      const other = randomUUID()
      await orders.sql`update orders set id = ${other} where id = ${id}`
      assert.equal((await client.call('GET', `/api/orders/${other}`)).json<Order>().items.length, 2)
    })

    test('times that no calendar has are answered in PostgreSQL words', async () => {
      const [row] = await orders.sql<{ id: string }[]>`
      insert into orders (created_at) values ('infinity') returning id::text`
      const order = (await client.call('POST', `/api/orders/${row?.id}/confirm`)).json<Order>()
      assert.equal(order.createdAt, 'infinity')
    })
  })
})
