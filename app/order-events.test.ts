import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Row, RowChangeView } from '../src/index.ts'
import { deriveOrderEvents, orderEvents } from './order-events.ts'
import { migratedDatabase } from './test-support/order-system.ts'

const ID = '7e6f0a3c-93c5-4f0a-8f5e-2b1d6a9c4e11'
const OTHER_ID = '0b7f6d52-6a52-4f0e-9c54-1f2f0a9c7d22'
const SOURCE = { lsn: '0/1F4A2C8', txId: 751, commitTime: '2026-11-22T18:48:24.123456Z' }

const created = `ORDER_CREATED:${ID}`
const cancelled = `ORDER_CANCELLED:${ID}`

test('an insert is a creation, whatever its status', () => {
  assert.deepEqual(ids({ op: 'c', after: order() }), [created])
  assert.deepEqual(ids({ op: 'c', after: order({ status: 'ON_HOLD' }) }), [created])
  assert.deepEqual(ids({ op: 'c', after: order({ status: 'CANCELLED' }) }), [created, cancelled], 'and a cancellation')
})

test('an update is a cancellation when it comes to CANCELLED from something else, and only then', () => {
  const to = (before: string, after: string) =>
    ids({ op: 'u', before: order({ status: before }), after: order({ status: after }) })
  for (const before of ['PENDING', 'CONFIRMED', 'PROCESSING', 'SHIPPED', 'DELIVERED', 'REJECTED', 'ON_HOLD']) {
    assert.deepEqual(to(before, 'CANCELLED'), [cancelled], before)
  }
  assert.deepEqual(to('CANCELLED', 'CANCELLED'), [])
  assert.deepEqual(to('CANCELLED', 'PENDING'), [])
  assert.deepEqual(to('PENDING', 'CONFIRMED'), [])
})

test('an update whose old row is not known says cancelled; the event id keeps it from being said twice', () => {
  assert.deepEqual(ids({ op: 'u', after: order({ status: 'CANCELLED' }) }), [cancelled])
  assert.deepEqual(ids({ op: 'u', after: order({ status: 'SHIPPED' }) }), [])
})

test('a deletion is a cancellation of an order that was PENDING, CONFIRMED or PROCESSING', () => {
  const of = (status: string) => ids({ op: 'd', before: order({ status }) })
  for (const status of ['PENDING', 'CONFIRMED', 'PROCESSING']) assert.deepEqual(of(status), [cancelled], status)
  for (const status of ['SHIPPED', 'DELIVERED', 'CANCELLED', 'REJECTED', 'ON_HOLD'])
    assert.deepEqual(of(status), [], status)
})

test('an order that gets another id is the old one deleted and the new one created', () => {
  const change = { op: 'u', before: order(), after: order({ id: OTHER_ID }) } as const
  assert.deepEqual(ids(change), [cancelled, `ORDER_CREATED:${OTHER_ID}`])
  assert.deepEqual(ids({ ...change, before: order({ status: 'SHIPPED' }) }), [`ORDER_CREATED:${OTHER_ID}`])
})

test('a row found after a slot was lost has the events that it must have had, at its own times', () => {
  assert.deepEqual(ids({ op: 'r', after: order() }), [created])
  const events = deriveOrderEvents(view({ op: 'r', after: order({ status: 'CANCELLED' }) }))
  assert.deepEqual(
    events.map(({ eventId, payload }) => [eventId, payload.occurredAt]),
    [
      [created, '2026-11-01T00:00:00.000000Z'],
      [cancelled, '2026-11-02T00:00:00.000000Z'],
    ],
  )
})

test('the payloads are those of the contract', () => {
  const [creation] = deriveOrderEvents(view({ op: 'c', after: order() }))
  assert.deepEqual(creation, {
    eventId: created,
    topic: 'order-events',
    key: ID,
    payload: {
      eventId: created,
      type: 'ORDER_CREATED',
      occurredAt: SOURCE.commitTime,
      orderId: ID,
      customerId: null,
      totalAmount: '12.50',
      items: [],
      source: { lsn: SOURCE.lsn, txId: SOURCE.txId },
    },
  })
  const after = order({ status: 'CANCELLED', cancellation_reason: 'changed my mind' })
  const [cancellation] = deriveOrderEvents(view({ op: 'u', before: order(), after }))
  assert.deepEqual(cancellation?.payload, {
    eventId: cancelled,
    type: 'ORDER_CANCELLED',
    occurredAt: SOURCE.commitTime,
    orderId: ID,
    customerId: null,
    reason: 'changed my mind',
    source: { lsn: SOURCE.lsn, txId: SOURCE.txId },
  })
})

test('derive reads no column that it did not ask for', () => {
  const read = new Set<string>()
  const row = new Proxy<Record<string, string>>({}, { get: (_, name) => (read.add(String(name)), 'CANCELLED') })
  for (const op of ['c', 'u', 'd', 'r'] as const) deriveOrderEvents(view({ op, before: row, after: row }))
  deriveOrderEvents(view({ op: 'u', after: row }))
  for (const column of read) assert.ok(orderEvents.columns.includes(column), column)
})

test('the items of created orders are added from the database, those of each order to its own event', async (t) => {
  const sql = await migratedDatabase(t, 'orders')
  await sql`insert into orders (id) values (${ID}), (${OTHER_ID})`
  await sql`
    insert into order_items (order_id, product_id, quantity, unit_price)
    values (${ID}, 'B', 2, 3.5), (${ID}, 'A', 1, 0), (${ID}, 'A', 5, null), (${OTHER_ID}, null, null, null)`
  const events = [
    { op: 'c', after: order() } as const,
    { op: 'd', before: order() } as const,
    { op: 'c', after: order({ id: OTHER_ID }) } as const,
  ].flatMap((change) => deriveOrderEvents(view(change)))
  const enriched = await sql.begin(async (tx) => await orderEvents.enrich?.(tx, events))
  const [first, second, third] = enriched ?? []
  const items = first?.payload.items as { productId: string; quantity: number }[]
  assert.deepEqual(
    items.toSorted((a, b) => a.quantity - b.quantity),
    [
      { productId: 'A', quantity: 1, unitPrice: '0.00' },
      { productId: 'B', quantity: 2, unitPrice: '3.50' },
      { productId: 'A', quantity: 5, unitPrice: null },
    ],
  )
  assert.deepEqual(second, events[1])
  assert.deepEqual(third?.payload.items, [{ productId: null, quantity: null, unitPrice: null }])
})

function order(columns: Row = {}): Row {
  return {
    id: ID,
    customer_id: null,
    status: 'PENDING',
    total_amount: '12.50',
    cancellation_reason: null,
    created_at: '2026-11-01T00:00:00.000000Z',
    updated_at: '2026-11-02T00:00:00.000000Z',
    ...columns,
  }
}

function view(change: Pick<RowChangeView, 'op'> & Partial<RowChangeView>): RowChangeView {
  return { before: null, after: null, source: SOURCE, ...change }
}

function ids(change: Pick<RowChangeView, 'op'> & Partial<RowChangeView>): string[] {
  return deriveOrderEvents(view(change)).map(({ eventId }) => eventId)
}
