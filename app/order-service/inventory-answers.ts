import type { TransactionSql } from 'postgres'

import { type DomainEvent, TrackOpsError } from '../../src/index.ts'
import { INVENTORY_RESERVATION_FAILED, INVENTORY_RESERVED } from '../inventory-events.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * What the inventory service answered, as a step of the order: only where it is still PENDING. A person may have confirmed or
 * cancelled it meanwhile, and an answer that comes late changes nothing.
 */
export async function handleInventoryAnswer(tx: TransactionSql, event: DomainEvent): Promise<void> {
  const { type, orderId, reason } = event.payload
  if (type !== INVENTORY_RESERVED && type !== INVENTORY_RESERVATION_FAILED) return
  if (typeof orderId !== 'string' || !UUID.test(orderId)) {
    throw new TrackOpsError('EVENT_FAILED', `an ${type} event has no order id`, { details: { eventId: event.eventId } })
  }
  if (type === INVENTORY_RESERVED) {
    await tx`update orders set status = 'CONFIRMED' where id = ${orderId}::uuid and status = 'PENDING'`
    return
  }
  // The reason is kept where a person would look for it; REJECTED tells that nobody cancelled the order.
  await tx`
    update orders
    set status = 'REJECTED', cancellation_reason = ${typeof reason === 'string' ? reason : null}
    where id = ${orderId}::uuid and status = 'PENDING'`
}
