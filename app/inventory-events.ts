import type { DomainEvent } from '../src/index.ts'

/** What the inventory service announces about an order. One answer an order: the id says so. */
export const INVENTORY_TOPIC = 'inventory-events'
export const INVENTORY_RESERVED = 'INVENTORY_RESERVED'
export const INVENTORY_RESERVATION_FAILED = 'INVENTORY_RESERVATION_FAILED'

export function reservedEvent(orderId: string, occurredAt: Date): DomainEvent {
  return answer(INVENTORY_RESERVED, orderId, occurredAt, null)
}

export function reservationFailedEvent(orderId: string, occurredAt: Date, reason: string): DomainEvent {
  return answer(INVENTORY_RESERVATION_FAILED, orderId, occurredAt, reason)
}

/** `reason` is null where nothing failed: both answers have the same members. */
function answer(type: string, orderId: string, occurredAt: Date, reason: string | null): DomainEvent {
  const eventId = `${type}:${orderId}`
  const payload = { eventId, type, occurredAt: occurredAt.toISOString(), orderId, reason }
  return { eventId, topic: INVENTORY_TOPIC, key: orderId, payload }
}
