import type { Sql } from 'postgres'

import type { ChangeEvent, OrderRow } from './consume.ts'
import { entityKey, orderDocument, TTL_SECONDS } from './order-document.ts'

interface Redis {
  setEx(key: string, seconds: number, value: string): Promise<unknown>
  del(key: string): Promise<unknown>
}

/**
 * On every change the key is written anew. `select`: from the row as the database has it by then; `event`: from the event's own row,
 * without a question to the database.
 */
export function createWarmer(deps: { readonly redis: Redis; readonly sql: Sql }, from: 'select' | 'event') {
  const { redis, sql } = deps
  return async ({ op, before, after }: ChangeEvent): Promise<void> => {
    if (op === 'd') {
      if (before) await redis.del(entityKey(before.id))
      return
    }
    if (!after) return
    const row = from === 'event' ? after : await selectOrder(sql, after.id)
    if (row) await redis.setEx(entityKey(after.id), TTL_SECONDS, orderDocument(row))
  }
}

export async function selectOrder(sql: Sql, id: string): Promise<OrderRow | undefined> {
  const [row] = await sql<OrderRow[]>`
    select id::text, customer_id::text, status, total_amount::text, street_address, city, state, postal_code, country,
           delivery_instructions, created_at::text, updated_at::text, version::text
    from orders where id = ${id}::uuid`
  return row
}
