import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'

import { reservationFailedEvent, reservedEvent } from '../inventory-events.ts'
import { migratedDatabase } from '../test-support/order-system.ts'
import { handleInventoryAnswer } from './inventory-answers.ts'

test('an answer moves the order that is still PENDING, and no other', async (t) => {
  const sql = await migratedDatabase(t, 'orders')
  const answered = async (status: string, answer: 'reserved' | 'failed') => {
    const id = randomUUID()
    await sql`insert into orders (id, status) values (${id}, ${status})`
    const now = new Date()
    const event = answer === 'reserved' ? reservedEvent(id, now) : reservationFailedEvent(id, now, 'no stock')
    for (const _ of [1, 2]) await sql.begin((tx) => handleInventoryAnswer(tx, event))
    const [row] = await sql`select status, cancellation_reason as reason, version::int from orders where id = ${id}`
    return row
  }
  assert.deepEqual(await answered('PENDING', 'reserved'), { status: 'CONFIRMED', reason: null, version: 1 })
  assert.deepEqual(await answered('PENDING', 'failed'), { status: 'REJECTED', reason: 'no stock', version: 1 })
  for (const status of ['CONFIRMED', 'SHIPPED', 'CANCELLED', 'REJECTED', 'ON_HOLD']) {
    assert.deepEqual(await answered(status, 'reserved'), { status, reason: null, version: 0 })
    assert.deepEqual(await answered(status, 'failed'), { status, reason: null, version: 0 })
  }
})

test('an answer for an order that is gone does nothing, one without an order fails for good', async (t) => {
  const sql = await migratedDatabase(t, 'orders')
  await sql.begin((tx) => handleInventoryAnswer(tx, reservedEvent(randomUUID(), new Date())))
  const broken = reservedEvent('not an id', new Date())
  await assert.rejects(
    sql.begin((tx) => handleInventoryAnswer(tx, broken)),
    { code: 'EVENT_FAILED' },
  )
  const unknown = { ...broken, payload: { type: 'INVENTORY_COUNTED' } }
  await sql.begin((tx) => handleInventoryAnswer(tx, unknown))
})
