import type { TransactionSql } from 'postgres'

import { type DomainEvent, enqueue, TrackOpsError } from '../../src/index.ts'
import { reservationFailedEvent, reservedEvent } from '../inventory-events.ts'
import { ORDER_CANCELLED, ORDER_CREATED } from '../order-events.ts'
import { addReservation, giveBack, lockStocks } from './inventory-store.ts'
import { beginReservation, cancelReservation, failReservation } from './reservation-store.ts'
import { shortage, wantedOf } from './reserve.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * Reserves each item of a created order or none, gives back on cancellation, and answers, all in the transaction that notes the
 * event as handled. In which order an order's two events arrive makes no difference:
 *
 *     created, cancelled:  RESERVED or FAILED, then CANCELLED
 *     cancelled, created:  CANCELLED, which the creation finds and leaves: nothing reserved, nothing answered
 */
export function createOrderEventHandler(options: { readonly defaultStock: number }) {
  return async (tx: TransactionSql, event: DomainEvent): Promise<void> => {
    const { type } = event.payload
    if (type === ORDER_CREATED) await reserve(tx, orderIdOf(event), event.payload.items, options.defaultStock)
    else if (type === ORDER_CANCELLED) await release(tx, orderIdOf(event))
  }
}

async function reserve(tx: TransactionSql, orderId: string, items: unknown, defaultStock: number): Promise<void> {
  const wanted = wantedOf(items)
  if (wanted.kind === 'nothing') return
  if (!(await beginReservation(tx, orderId))) return
  const fail = async (reason: string) => {
    await failReservation(tx, orderId, reason)
    await enqueue(tx, [reservationFailedEvent(orderId, new Date(), reason)])
  }
  if (wanted.kind === 'impossible') {
    await fail(wanted.reason)
    return
  }
  const short = shortage(wanted.demand, await lockStocks(tx, wanted.demand, defaultStock))
  if (short) {
    await fail(`not enough of product ${short.productId}: ${short.missing} more needed`)
    return
  }
  await addReservation(tx, orderId, wanted.demand)
  await enqueue(tx, [reservedEvent(orderId, new Date())])
}

async function release(tx: TransactionSql, orderId: string): Promise<void> {
  const before = await cancelReservation(tx, orderId)
  if (before === 'RESERVED') await giveBack(tx, orderId)
}

/** @throws TrackOpsError for an event that names no order: it becomes a dead letter, as nobody can act on it */
function orderIdOf(event: DomainEvent): string {
  const { orderId } = event.payload
  if (typeof orderId === 'string' && UUID.test(orderId)) return orderId.toLowerCase()
  throw new TrackOpsError('EVENT_FAILED', 'an order event has no order id', { details: { eventId: event.eventId } })
}
