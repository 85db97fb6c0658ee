import type { TransactionSql } from 'postgres'

import type { DomainEvent, EventDefinition, Row, RowChangeView, Value } from '../src/index.ts'
import { textOf } from './text.ts'

/**
 * ORDER_CREATED and ORDER_CANCELLED, from the changes of `orders` alone: an order written by hand has its events too. The
 * event id is made of type and order id, so an order is created once and cancelled once, whatever is redelivered.
 *
 * | change                                        | events                                             |
 * |-----------------------------------------------|----------------------------------------------------|
 * | insert                                        | created                                            |
 * | update to CANCELLED, from any other status    | cancelled                                          |
 * | update of the id                              | what deleting the old and inserting the new means: |
 * |                                               | that is how Debezium tells it, too                 |
 * | delete while PENDING, CONFIRMED or PROCESSING | cancelled                                          |
 * | row found after a slot was lost               | created, and cancelled if it is CANCELLED          |
 */
export const ORDER_TOPIC = 'order-events'
export const ORDER_CREATED = 'ORDER_CREATED'
export const ORDER_CANCELLED = 'ORDER_CANCELLED'

/** Deleting an order in one of these takes something back that was promised; later it is history, earlier it was refused. */
const DELETION_CANCELS: ReadonlySet<Value> = new Set(['PENDING', 'CONFIRMED', 'PROCESSING'])

const COLUMNS = [
  'id',
  'customer_id',
  'status',
  'total_amount',
  'cancellation_reason',
  'created_at',
  'updated_at',
] as const

export const orderEvents: EventDefinition = {
  topic: ORDER_TOPIC,
  table: 'public.orders',
  columns: COLUMNS,
  derive: deriveOrderEvents,
  enrich: addItems,
}

export function orderEventId(type: string, orderId: string): string {
  return `${type}:${orderId}`
}

export function deriveOrderEvents(change: RowChangeView): readonly DomainEvent[] {
  const { before, after } = change
  const { commitTime } = change.source
  switch (change.op) {
    case 'c':
      return after ? begun(after, change) : []
    case 'u':
      if (!after) return []
      if (before && before.id !== after.id) return [...deleted(before, change), ...begun(after, change)]
      return isCancelled(after) && !(before && isCancelled(before)) ? [cancelled(after, change, commitTime)] : []
    case 'd':
      return before ? deleted(before, change) : []
    case 'r':
      return after ? found(after, change) : []
  }
}

/** One that is CANCELLED from its first moment is cancelled, too: else its items would stay reserved for ever. */
function begun(row: Row, change: RowChangeView): DomainEvent[] {
  const { commitTime } = change.source
  const events = [created(row, change, commitTime)]
  if (isCancelled(row)) events.push(cancelled(row, change, commitTime))
  return events
}

/** When it happened is not known any more; the row's own times are nearer to it than the time of the snapshot. */
function found(row: Row, change: RowChangeView): DomainEvent[] {
  const { commitTime } = change.source
  const events = [created(row, change, textOf(row.created_at) || commitTime)]
  if (isCancelled(row)) events.push(cancelled(row, change, textOf(row.updated_at) || commitTime))
  return events
}

function deleted(before: Row, change: RowChangeView): DomainEvent[] {
  if (!DELETION_CANCELS.has(before.status ?? null)) return []
  const reason = before.cancellation_reason ?? 'the order was deleted'
  return [cancelled({ ...before, cancellation_reason: reason }, change, change.source.commitTime)]
}

function created(row: Row, change: RowChangeView, occurredAt: string): DomainEvent {
  return event(ORDER_CREATED, row, {
    occurredAt,
    orderId: row.id ?? null,
    customerId: row.customer_id ?? null,
    totalAmount: row.total_amount ?? null,
    items: [],
    source: sourceOf(change),
  })
}

function cancelled(row: Row, change: RowChangeView, occurredAt: string): DomainEvent {
  return event(ORDER_CANCELLED, row, {
    occurredAt,
    orderId: row.id ?? null,
    customerId: row.customer_id ?? null,
    reason: row.cancellation_reason ?? null,
    source: sourceOf(change),
  })
}

function event(type: string, row: Row, facts: DomainEvent['payload']): DomainEvent {
  const orderId = textOf(row.id)
  const eventId = orderEventId(type, orderId)
  return { eventId, topic: ORDER_TOPIC, key: orderId, payload: { eventId, type, ...facts } }
}

function sourceOf(change: RowChangeView): Value {
  return { lsn: change.source.lsn, txId: change.source.txId }
}

function isCancelled(row: Row): boolean {
  return row.status === 'CANCELLED'
}

/** One query for all of them, and none where nothing was created. Lines stay lines, in a stable order. */
async function addItems(sql: TransactionSql, events: readonly DomainEvent[]): Promise<readonly DomainEvent[]> {
  const orderIds = events.filter(({ payload }) => payload.type === ORDER_CREATED).map(({ key }) => key)
  if (orderIds.length === 0) return events
  const rows = await sql<
    { order_id: string; product_id: string | null; quantity: number | null; unit_price: string | null }[]
  >`
    select order_id::text, product_id, quantity, unit_price::text
    from order_items
    where order_id = any (${orderIds}::uuid[])
    order by order_id, product_id, id`
  const itemsByOrder = Map.groupBy(rows, (row) => row.order_id)
  return events.map((domainEvent) => {
    if (domainEvent.payload.type !== ORDER_CREATED) return domainEvent
    const items = itemsByOrder.get(domainEvent.key) ?? []
    const listed = items.map(({ product_id: productId, quantity, unit_price: unitPrice }) => {
      return { productId, quantity, unitPrice }
    })
    return { ...domainEvent, payload: { ...domainEvent.payload, items: listed } }
  })
}
