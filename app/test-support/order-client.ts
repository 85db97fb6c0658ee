import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'

import type { TestOrders } from './order-system.ts'

export interface Order {
  id: string
  customerId: string
  status: string
  totalAmount: string
  version: number
  updatedAt: string
  createdAt: string
  items: { productId: string; totalPrice: string; unitPrice: string; quantity: number; id: string }[]
  [member: string]: unknown
}

const CART = [
  { productId: 'SKU-2', productName: 'Pen', quantity: 3, unitPrice: 0.1 },
  { productId: 'SKU-1', quantity: 1, unitPrice: '12.2' },
]

/** Short ways to ask the order service, without a port. `orders` is called late: a hook sets it. */
export function createOrderClient(orders: () => TestOrders) {
  const client = {
    /** `body` over a cart of 12.50 for a new customer. */
    create: async (body: object = {}, headers: Record<string, string> = {}) => {
      const payload = { customerId: randomUUID(), items: CART, ...body }
      return await orders().app.inject({ method: 'POST', url: '/api/orders', payload, headers })
    },
    createdOrder: async (body: object = {}): Promise<Order> => {
      const response = await client.create(body)
      assert.equal(response.statusCode, 201, response.body)
      return response.json<Order>()
    },
    call: async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, payload?: object) =>
      await orders().app.inject({ method, url, ...(payload ? { payload } : {}) }),
  }
  return client
}

/** Checks that it is a problem document and gives its `type`'s last part. */
export function problem(
  response: { statusCode: number; headers: Record<string, unknown>; json: () => unknown },
  status: number,
): string {
  const document = response.json() as { type: string; status: number; title: string; detail: string }
  assert.equal(response.statusCode, status, JSON.stringify(document))
  assert.equal(response.headers['content-type'], 'application/problem+json')
  assert.equal(document.status, status)
  assert.ok(document.title && document.detail)
  const prefix = 'urn:trackops:problem:'
  assert.ok(document.type.startsWith(prefix), document.type)
  return document.type.slice(prefix.length)
}
