import type { Sql, TransactionSql } from 'postgres'

import type { Document, Row } from '../../src/index.ts'
import type { OrderState } from '../order-state.ts'
import { compareTexts, textOf } from '../text.ts'
import { entityDocument, itemDocument } from '../views.ts'
import type { NewOrder } from './new-order.ts'

/**
 * The SQL of orders. Writes answer with documents made by the views' own functions, so that an answer to a write looks like a
 * read of the same moment.
 */

/** The order as `order-entity` shows it, and its items as `order-items` does. */
export type OrderDocument = Document & { readonly items: readonly Document[] }

export async function insertOrder(tx: TransactionSql, order: NewOrder): Promise<OrderDocument> {
  const rows = await tx<Row[]>`
    insert into orders (
      customer_id, total_amount, street_address, city, state, postal_code, country, phone_number, delivery_instructions
    ) values (
      ${order.customerId}::uuid, ${order.totalAmount}::numeric, ${order.address.street}, ${order.address.city},
      ${order.address.state}, ${order.address.postalCode}, ${order.address.country}, ${order.phoneNumber},
      ${order.deliveryInstructions}
    )
    returning ${entityColumns(tx)}`
  const entity = onlyRow(rows)
  const items = await tx<Row[]>`
    insert into order_items (order_id, product_id, product_name, quantity, unit_price, total_price)
    select ${textOf(entity.id)}::uuid, line."productId", line."productName", line.quantity, line."unitPrice", line."totalPrice"
    from jsonb_to_recordset(${JSON.stringify(order.items)}::text::jsonb) as line (
      "productId" text, "productName" text, quantity int, "unitPrice" numeric(12, 2), "totalPrice" numeric(12, 2)
    )
    returning ${itemColumns(tx)}`
  return orderDocument(entity, items)
}

/** Locks the row: of two steps at once, the second sees what the first made of it. undefined: no such order. */
export async function lockStatus(tx: TransactionSql, orderId: string): Promise<string | undefined> {
  const rows = await tx<{ status: string }[]>`select status from orders where id = ${orderId}::uuid for no key update`
  return rows[0]?.status
}

/** The row's trigger counts the version and stamps the time. A reason is set only where one is given. */
export async function setStatus(
  tx: TransactionSql | Sql,
  orderId: string,
  status: OrderState,
  reason: string | null,
): Promise<void> {
  await tx`
    update orders
    set status = ${status}, cancellation_reason = coalesce(${reason}::text, cancellation_reason)
    where id = ${orderId}::uuid`
}

/** undefined: no such order. */
export async function readOrder(tx: TransactionSql | Sql, orderId: string): Promise<OrderDocument | undefined> {
  const rows = await tx<Row[]>`select ${entityColumns(tx)} from orders where id = ${orderId}::uuid`
  const [entity] = rows
  if (!entity) return undefined
  const items = await tx<Row[]>`select ${itemColumns(tx)} from order_items where order_id = ${orderId}::uuid`
  return orderDocument(entity, items)
}

/** For reads as well, where both parts come from the cache. Lines in an order that does not change between two reads. */
export function withItems(entity: Document, items: readonly Document[]): OrderDocument {
  return { ...entity, items: items.toSorted((a, b) => compareTexts(lineKey(a), lineKey(b))) }
}

function orderDocument(entity: Row, items: readonly Row[]): OrderDocument {
  return withItems(entityDocument(entity), items.map(itemDocument))
}

function lineKey(item: Document): string {
  return `${textOf(item.productId)}\0${textOf(item.id)}`
}

function onlyRow(rows: readonly Row[]): Row {
  const [row] = rows
  if (!row) throw new Error('an insert returned no row: is there a rule or trigger on orders that swallows it?')
  return row
}

function entityColumns(sql: TransactionSql | Sql) {
  return sql`
    id::text, customer_id::text, status, total_amount::text, street_address, city, state, postal_code, country,
    delivery_instructions, ${isoTime(sql, 'created_at')}, ${isoTime(sql, 'updated_at')}, version::text`
}

function itemColumns(sql: TransactionSql | Sql) {
  return sql`id::text, product_id, product_name, quantity, unit_price::text, total_price::text`
}

/**
 * The form that views get: six digits, UTC, whatever the session's time zone is. The driver's own Date would lose the
 * microseconds. What that form cannot say (infinity, years BC) is left in PostgreSQL's words, as views have it.
 */
function isoTime(sql: TransactionSql | Sql, column: 'created_at' | 'updated_at') {
  const name = sql(column)
  return sql`
    case when isfinite(${name}) and ${name} >= '0001-01-01 00:00:00+00'
      then to_char(${name} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') else ${name}::text end as ${name}`
}
