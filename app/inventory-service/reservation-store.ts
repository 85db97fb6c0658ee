import type { Sql, TransactionSql } from 'postgres'

export type ReservationStatus = 'RESERVED' | 'FAILED' | 'CANCELLED'

export interface Reservation {
  readonly orderId: string
  readonly status: ReservationStatus
  readonly reason: string | null
  /** What is, or (CANCELLED) was, reserved. Sorted by product. */
  readonly items: readonly { readonly productId: string; readonly quantity: number }[]
}

/**
 * Claims the order as RESERVED. False if it has a reservation in whatever status: then its creation was handled before, or its
 * cancellation came first. A concurrent claim of the same order waits for this transaction's end.
 */
export async function beginReservation(tx: TransactionSql, orderId: string): Promise<boolean> {
  const claimed = await tx`
    insert into reservations (order_id, status) values (${orderId}::uuid, 'RESERVED') on conflict do nothing`
  return claimed.count === 1
}

export async function failReservation(tx: TransactionSql, orderId: string, reason: string): Promise<void> {
  await tx`
    update reservations set status = 'FAILED', reason = ${reason}, updated_at = now() where order_id = ${orderId}::uuid`
}

/** To CANCELLED, from nothing too. Returns the status before, undefined where there was none. */
export async function cancelReservation(tx: TransactionSql, orderId: string): Promise<ReservationStatus | undefined> {
  const inserted = await tx`
    insert into reservations (order_id, status) values (${orderId}::uuid, 'CANCELLED') on conflict do nothing`
  if (inserted.count === 1) return undefined
  const rows = await tx<{ status: ReservationStatus }[]>`
    select status from reservations where order_id = ${orderId}::uuid for no key update`
  const before = rows[0]?.status
  if (before !== 'CANCELLED') {
    await tx`
      update reservations set status = 'CANCELLED', updated_at = now() where order_id = ${orderId}::uuid`
  }
  return before
}

/** undefined: the order reserved nothing and did not fail to, as far as is known here. */
export async function readReservation(sql: Sql, orderId: string): Promise<Reservation | undefined> {
  const rows = await sql<{ status: ReservationStatus; reason: string | null; items: Reservation['items'] }[]>`
    select status, reason, (
      select coalesce(
        jsonb_agg(jsonb_build_object('productId', product_id, 'quantity', quantity) order by product_id collate "C"), '[]'
      )
      from reservation_items as item
      where item.order_id = reservations.order_id
    ) as items
    from reservations
    where order_id = ${orderId}::uuid`
  const [row] = rows
  return row && { orderId: orderId.toLowerCase(), status: row.status, reason: row.reason, items: row.items }
}
