import { type Document, listView, type Row, rowView, type Value } from '../src/index.ts'

/**
 * The keys that the order system keeps in Redis (docs: "Redis"). The phone number is in none of them: no reader needs it,
 * and a cache is no place for personal data without need.
 */

const HOUR_SECONDS = 3600

const ENTITY_COLUMNS = [
  'id',
  'customer_id',
  'status',
  'total_amount',
  'street_address',
  'city',
  'state',
  'postal_code',
  'country',
  'delivery_instructions',
  'created_at',
  'updated_at',
  'version',
] as const

export const orderEntity = rowView({
  name: 'order-entity',
  key: 'order:entity:{id}',
  table: 'public.orders',
  columns: ENTITY_COLUMNS,
  ttlSeconds: HOUR_SECONDS,
  warm: 'all',
  document: entityDocument,
})

export const orderStatus = rowView({
  name: 'order-status',
  key: 'order:status:{id}',
  table: 'public.orders',
  columns: ['id', 'status', 'updated_at'],
  ttlSeconds: HOUR_SECONDS / 2,
  warm: 'all',
  document: (row) => ({ status: column(row, 'status'), updatedAt: column(row, 'updated_at') }),
})

/** `cached`: filled by the first read, kept by every change from then on. */
export const orderItems = listView({
  name: 'order-items',
  key: 'order:items:{order_id}',
  table: 'public.order_items',
  columns: ['id', 'order_id', 'product_id', 'product_name', 'quantity', 'unit_price', 'total_price'],
  member: 'id',
  ttlSeconds: HOUR_SECONDS,
  warm: 'cached',
  document: itemDocument,
})

/** An order without a customer has no key here, so it is in no list. */
export const customerOrders = listView({
  name: 'customer-orders',
  key: 'orders:customer:{customer_id}',
  table: 'public.orders',
  columns: ['id', 'customer_id', 'status', 'total_amount', 'created_at', 'updated_at'],
  member: 'id',
  ttlSeconds: HOUR_SECONDS,
  warm: 'cached',
  document: (row) => ({
    id: column(row, 'id'),
    status: column(row, 'status'),
    totalAmount: column(row, 'total_amount'),
    createdAt: column(row, 'created_at'),
    updatedAt: column(row, 'updated_at'),
  }),
})

export const views = [orderEntity, orderStatus, orderItems, customerOrders] as const

/** Also what a write answers with, from the row that it wrote. */
export function entityDocument(row: Row): Document {
  return {
    id: column(row, 'id'),
    customerId: column(row, 'customer_id'),
    status: column(row, 'status'),
    totalAmount: column(row, 'total_amount'),
    address: addressOf(row),
    deliveryInstructions: column(row, 'delivery_instructions'),
    createdAt: column(row, 'created_at'),
    updatedAt: column(row, 'updated_at'),
    version: versionOf(column(row, 'version')),
  }
}

export function itemDocument(row: Row): Document {
  return {
    id: column(row, 'id'),
    productId: column(row, 'product_id'),
    productName: column(row, 'product_name'),
    quantity: column(row, 'quantity'),
    unitPrice: column(row, 'unit_price'),
    totalPrice: column(row, 'total_price'),
  }
}

/** null where every part is: "no address" is one thing, not an object of nothings. */
function addressOf(row: Row): Document | null {
  const address = {
    street: column(row, 'street_address'),
    city: column(row, 'city'),
    state: column(row, 'state'),
    postalCode: column(row, 'postal_code'),
    country: column(row, 'country'),
  }
  return Object.values(address).every((part) => part === null) ? null : address
}

/** A number as far as a number is exact; a version that SQL set beyond 2^53 stays text rather than become another one. */
function versionOf(value: Value): Value {
  const version = Number(value)
  return Number.isSafeInteger(version) ? version : value
}

function column(row: Row, name: string): Value {
  return row[name] ?? null
}
