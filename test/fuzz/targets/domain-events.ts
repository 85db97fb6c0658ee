/** Events that a stranger wrote: into the topic as a record, or into the table as a row. */
import assert from 'node:assert/strict'

import fc from 'fast-check'
import type { Sql } from 'postgres'

import { migratedDatabase } from '../../../app/test-support/order-system.ts'
import { createOrderEventHandler } from '../../../app/inventory-service/order-event-handler.ts'
import { handleInventoryAnswer } from '../../../app/order-service/inventory-answers.ts'
import type { Value } from '../../../src/change/value.ts'
import { createEventHandling } from '../../../src/log/event-handling.ts'
import { fromRecord } from '../../../src/log/kafka/event-record.ts'
import { logDatabase } from '../../../src/log/log-fixture.ts'
import { SILENT } from '../../../src/runtime/logger.ts'
import type { FuzzTarget } from '../fuzz-target.ts'
import { asBytes, mutatedJson, oddText } from '../mutate.ts'

const ORDER = '550e8400-e29b-41d4-a716-446655440000'
const SEEDS = [
  { type: 'ORDER_CREATED', orderId: ORDER, items: [{ productId: 'book', quantity: 2, unitPrice: '1.00' }] },
  {
    type: 'ORDER_CREATED',
    orderId: ORDER,
    items: [
      { productId: 'a', quantity: 1 },
      { productId: 'a', quantity: 2 },
    ],
  },
  { type: 'ORDER_CANCELLED', orderId: ORDER, reason: null },
  { type: 'INVENTORY_RESERVED', orderId: ORDER, reason: null },
  { type: 'INVENTORY_RESERVATION_FAILED', orderId: ORDER, reason: 'none left' },
]

/** Too long for an index, and not to be compressed. */
const LONG = Array.from({ length: 4000 }, (_, n) => ((n * n * 7919) % 65_521).toString(36)).join('')

interface Input {
  readonly id: string | null
  readonly key: string | null
  readonly payload: Value
}

/**
 * Whatever it is: both services go on, either with its effect or with a dead letter and without one; and what is reserved is what the
 * reservations say.
 */
export const domainEvents: FuzzTarget = {
  name: 'domain-events',
  async open(scope) {
    const { sql: log } = await logDatabase(scope)
    const inventory = await migratedDatabase(scope, 'inventory')
    const orders = await migratedDatabase(scope, 'orders')
    const handling = createEventHandling({ sql: log, log: SILENT }, { maxAttempts: 2, retentionSeconds: 3600 })
    const services = [
      { consumer: 'inventory', store: inventory, handle: createOrderEventHandler({ defaultStock: 3 }) },
      { consumer: 'orders', store: orders, handle: handleInventoryAnswer },
    ]
    for (const { store } of services) await handling.prepare(store)
    let seq = 0n
    const text = fc.option(fc.oneof(oddText, fc.constantFrom('ORDER_CREATED:1', LONG)))
    return {
      inputs: asBytes(fc.record({ id: text, key: text, payload: mutatedJson(SEEDS) })),
      async check(input) {
        const { id, key, payload } = JSON.parse(input.toString('utf8')) as Input
        const place = `0/${++seq}`
        const headers = new Map(id === null ? [] : [['event-id', id]])
        const value = Buffer.from(JSON.stringify(payload))
        const event = fromRecord('topic', place, {
          key: key === null ? null : Buffer.from(key),
          value,
          headers,
          offset: seq,
        })
        if (!event) return
        await inventory`truncate trackops_inbox`
        for (const { consumer, store, handle } of services) {
          const signal = new AbortController().signal
          const logged = { ...event, seq, place }
          await handling.handle([logged], 'topic', seq, { topic: 'topic', consumer, store, handle, signal })
          const [row] = await store<
            { seq: string }[]
          >`select seq::text from trackops_inbox_position where consumer = ${consumer}`
          assert.equal(row?.seq, seq.toString(), 'the position moved on')
        }
        await assertReserved(inventory)
      },
    }
  },
}

async function assertReserved(sql: Sql): Promise<void> {
  const wrong = await sql`
    select product_id from inventory as s
    where reserved < 0 or reserved <> (
      select coalesce(sum(quantity), 0) from reservation_items join reservations using (order_id)
      where reservation_items.product_id = s.product_id and status = 'RESERVED')`
  assert.equal(wrong.length, 0, 'what is reserved is the sum of the reservations')
}
