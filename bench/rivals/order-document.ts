/** The cached document, from a row: the same members as TrackOps caches, without a version of the cache's own. */
import type { OrderRow } from './consume.ts'

export const TTL_SECONDS = 3600

export const entityKey = (id: string): string => `order:entity:${id}`

export function orderDocument(row: OrderRow): string {
  return JSON.stringify({
    id: row.id,
    customerId: row['customer_id'],
    status: row['status'],
    totalAmount: row['total_amount'],
    address: {
      street: row['street_address'],
      city: row['city'],
      state: row['state'],
      postalCode: row['postal_code'],
      country: row['country'],
    },
    deliveryInstructions: row['delivery_instructions'],
    createdAt: row['created_at'],
    updatedAt: row['updated_at'],
    version: Number(row['version']),
  })
}
