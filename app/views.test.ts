import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Row } from '../src/index.ts'
import { customerOrders, orderEntity, orderItems, orderStatus, views } from './views.ts'

const ROW: Row = {
  id: '7e6f0a3c-93c5-4f0a-8f5e-2b1d6a9c4e11',
  customer_id: '0b7f6d52-6a52-4f0e-9c54-1f2f0a9c7d22',
  status: 'PENDING',
  total_amount: '12.50',
  street_address: 'Main St 1',
  city: 'Springfield',
  state: null,
  postal_code: null,
  country: null,
  delivery_instructions: null,
  created_at: '2026-11-22T18:48:24.123456Z',
  updated_at: '2026-11-22T18:48:24.500000Z',
  version: '3',
}

test('the entity is the row in the words of the contract, without the phone number', () => {
  assert.deepEqual(orderEntity.document(ROW), {
    id: '7e6f0a3c-93c5-4f0a-8f5e-2b1d6a9c4e11',
    customerId: '0b7f6d52-6a52-4f0e-9c54-1f2f0a9c7d22',
    status: 'PENDING',
    totalAmount: '12.50',
    address: { street: 'Main St 1', city: 'Springfield', state: null, postalCode: null, country: null },
    deliveryInstructions: null,
    createdAt: '2026-11-22T18:48:24.123456Z',
    updatedAt: '2026-11-22T18:48:24.500000Z',
    version: 3,
  })
  for (const view of views) assert.ok(!view.columns.includes('phone_number'), view.name)
})

test('an address of nothing is null', () => {
  const document = orderEntity.document({ ...ROW, street_address: null, city: null })
  assert.equal(document?.address, null)
})

test('a version beyond what a number holds stays text instead of becoming another version', () => {
  assert.equal(orderEntity.document({ ...ROW, version: '9223372036854775807' })?.version, '9223372036854775807')
})

test('status, list member and item hold what the contract names, no more', () => {
  assert.deepEqual(orderStatus.document(ROW), { status: 'PENDING', updatedAt: '2026-11-22T18:48:24.500000Z' })
  assert.deepEqual(customerOrders.document(ROW), {
    id: '7e6f0a3c-93c5-4f0a-8f5e-2b1d6a9c4e11',
    status: 'PENDING',
    totalAmount: '12.50',
    createdAt: '2026-11-22T18:48:24.123456Z',
    updatedAt: '2026-11-22T18:48:24.500000Z',
  })
  const item: Row = { id: 'i', order_id: 'o', product_id: 'p', product_name: null, quantity: 2 }
  assert.deepEqual(orderItems.document({ ...item, unit_price: '1.00', total_price: '2.00' }), {
    id: 'i',
    productId: 'p',
    productName: null,
    quantity: 2,
    unitPrice: '1.00',
    totalPrice: '2.00',
  })
})

test('a view asks for every column that its function reads', () => {
  for (const view of views) {
    const read = new Set<string>()
    const row = new Proxy<Record<string, null>>({}, { get: (_, name) => (read.add(String(name)), null) })
    view.document(row)
    for (const column of read) assert.ok(view.columns.includes(column), `${view.name} reads ${column}`)
  }
})

test('keys, times to live and warming are those of the contract', () => {
  const declared = views.map(({ key, ttlSeconds, warm }) => [key, ttlSeconds, warm])
  assert.deepEqual(declared, [
    ['order:entity:{id}', 3600, 'all'],
    ['order:status:{id}', 1800, 'all'],
    ['order:items:{order_id}', 3600, 'cached'],
    ['orders:customer:{customer_id}', 3600, 'cached'],
  ])
})
