/** Requests: any method, address, header and body, at both services and the console. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'

import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'

import { testInventory, testOrders } from '../../../app/test-support/order-system.ts'
import { createConsole } from '../../../src/roles/console-server.ts'
import { defer } from '../../support/defer.ts'
import type { FuzzTarget } from '../fuzz-target.ts'
import { asBytes, mutatedBytes, mutatedJson, ODD_TEXTS, oddText } from '../mutate.ts'

const ORDER = '550e8400-e29b-41d4-a716-446655440000'
const NEW_ORDER = {
  customerId: ORDER,
  items: [{ productId: 'book', productName: 'A book', quantity: 2, unitPrice: '12.50' }],
  address: { street: 'Main Street 1', city: 'Vienna', state: null, postalCode: '1010', country: 'AT' },
  deliveryInstructions: 'ring',
  phoneNumber: '+43 1 1',
}
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'] as const
const ORDER_PATHS = [
  '/api/orders',
  '/api/orders/:',
  '/api/orders/:/status',
  '/api/orders/:/confirm',
  '/api/orders/:/ship',
  '/api/customers/:/orders',
  '/openapi.json',
]
const INVENTORY_PATHS = ['/api/inventory', '/api/inventory/:', '/api/reservations/:', '/openapi.json']
const HEADERS = ['content-type', 'x-freshness-token', 'idempotency-key', 'accept', 'transfer-encoding', 'x-other']

interface Input {
  readonly method: (typeof METHODS)[number]
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** base64 */
  readonly body: string | null
}

function inputsFor(paths: readonly string[], bodies: readonly unknown[]): fc.Arbitrary<Buffer> {
  const segment = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(ORDER, ORDER.toUpperCase(), 'book') },
    { weight: 2, arbitrary: oddText.map((text) => encodeURIComponent(text.toWellFormed())) },
    { weight: 1, arbitrary: fc.constantFrom('%', '%zz', '%ff', '%00', '..', '.', '*', 'a%2fb', 'é') },
  )
  const query = fc.constantFrom(
    '',
    '',
    '?reason=late',
    '?reason=%00',
    '?limit=-1',
    '?after=%ff',
    '?a&a=1&__proto__=x',
    '?limit=1e9',
  )
  const path = fc
    .tuple(fc.constantFrom(...paths), segment, query)
    .map(([pattern, one, more]) => pattern.replace(':', one) + more)
  // What Node itself does not let into a header never comes to a service.
  const headerText = fc.oneof(
    fc.constantFrom(
      'application/json',
      'text/plain',
      'application/json; charset=utf-16',
      '751-0000000001D2F3A8',
      'chunked',
      '',
    ),
    fc.constantFrom<string>(...ODD_TEXTS).map((text) => text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?')),
  )
  const json = mutatedJson(bodies).map((value) => Buffer.from(JSON.stringify(value) ?? ''))
  const body = fc.oneof(
    { weight: 4, arbitrary: json },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('{', '[[[[', '"\\ud800"', '{"a":1}x', '').map((text) => Buffer.from(text)),
    },
  )
  return asBytes(
    fc.record({
      method: fc.constantFrom(...METHODS, 'POST', 'PUT'),
      path,
      headers: fc.oneof(
        { weight: 3, arbitrary: fc.constant({ 'content-type': 'application/json' }) },
        { weight: 1, arbitrary: fc.dictionary(fc.constantFrom(...HEADERS), headerText, { maxKeys: 4 }) },
      ),
      body: fc.option(body.map((bytes) => bytes.toString('base64'))),
    }),
  )
}

async function ask(app: Pick<FastifyInstance, 'inject'>, input: Buffer): Promise<{ status: number; method: string }> {
  const { method, path, headers, body } = JSON.parse(input.toString('utf8')) as Input
  const response = await app.inject({
    method,
    url: path,
    headers,
    ...(body === null ? {} : { payload: Buffer.from(body, 'base64') }),
  })
  const { statusCode: status } = response
  assert.ok(status < 500, `${method} is answered with ${status}: ${response.body.slice(0, 200)}`)
  if (status >= 400 && method !== 'HEAD') {
    assert.equal(response.headers['content-type'], 'application/problem+json')
    const problem = JSON.parse(response.body) as Record<string, unknown>
    assert.equal(problem['status'], status)
    assert.equal(typeof problem['type'], 'string')
  }
  return { status, method }
}

/** No answer of 500 or more, every error a problem document, and what was refused has written nothing. */
export const orderService: FuzzTarget = {
  name: 'order-service',
  async open(scope) {
    const { app, sql } = await testOrders(scope)
    const content = async (): Promise<string> => {
      const [row] = await sql<{ all: string }[]>`
        select (select count(*) from orders) || ' ' || (select count(*) from order_items) || ' ' ||
               (select coalesce(sum(version), 0) from orders) as all`
      return row?.all ?? ''
    }
    return {
      inputs: inputsFor(ORDER_PATHS, [NEW_ORDER, NEW_ORDER, { status: 'CONFIRMED' }]),
      async check(input) {
        await sql`insert into orders (id, customer_id, total_amount) values (${ORDER}, ${ORDER}, 1) on conflict do nothing`
        const before = await content()
        const { status, method } = await ask(app, input)
        if (status >= 400 || method === 'GET') assert.equal(await content(), before, 'nothing was written')
      },
    }
  },
}

export const inventoryService: FuzzTarget = {
  name: 'inventory-service',
  async open(scope) {
    const { app, sql } = await testInventory(scope, { defaultStock: 3 })
    const content = async (): Promise<string> => {
      const [row] = await sql<{ all: string }[]>`
        select count(*) || ' ' || coalesce(sum(on_hand), 0) as all from inventory`
      return row?.all ?? ''
    }
    return {
      inputs: inputsFor(INVENTORY_PATHS, [{ onHand: 5 }]),
      async check(input) {
        const before = await content()
        const { status, method } = await ask(app, input)
        if (status >= 400 || method === 'GET') assert.equal(await content(), before, 'nothing was written')
      },
    }
  },
}

export const consoleServer: FuzzTarget = {
  name: 'console',
  async open(scope) {
    const status = () => Promise.reject(new Error('nobody is asked'))
    const app = await createConsole({ metrics: { registry: new Registry() }, status, isReady: () => true })
    defer(scope, () => app.close())
    return {
      inputs: inputsFor(['/', '/metrics', '/health/live', '/health/ready', '/nothing/:'], [{}]),
      check: async (input) => void (await ask(app, input)),
    }
  },
}

/** What is no HTTP: bytes on a socket. The connection ends, with an answer of 4xx or none, and the next client is served. */
export const httpSocket: FuzzTarget = {
  name: 'http-socket',
  async open(scope) {
    const { app } = await testOrders(scope)
    const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
    defer(scope, () => app.close())
    const body = JSON.stringify(NEW_ORDER)
    const seeds = [
      `GET /api/orders/${ORDER} HTTP/1.1\r\nhost: x\r\nx-freshness-token: 1-0000000000000001\r\nconnection: close\r\n\r\n`,
      `POST /api/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      `PUT /api/orders/${ORDER}/status HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n`,
    ].map((text) => Buffer.from(text))
    return {
      inputs: mutatedBytes(seeds),
      async check(input) {
        const answer = await exchange(Number(url.port), input)
        for (const [, status] of answer.matchAll(/^HTTP\/1\.1 (\d{3})/gm)) assert.ok(Number(status) < 500, answer)
        const next = await fetch(`${url.origin}/api/orders/${ORDER}`)
        assert.equal(next.status, 404)
        await next.arrayBuffer()
      },
    }
  },
}

function exchange(port: number, input: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.end(input))
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
  })
}
