import type { Sql } from 'postgres'

import { entityKey, orderDocument, TTL_SECONDS } from './order-document.ts'
import { selectOrder } from './warmer.ts'

interface Redis {
  get(key: string): Promise<string | null>
  setEx(key: string, seconds: number, value: string): Promise<unknown>
}

/** GET; on a miss SELECT, SETEX. While Redis is away, the database. */
export function createCacheAside({ redis, sql }: { readonly redis: Redis; readonly sql: Sql }) {
  return async (id: string): Promise<unknown> => {
    const key = entityKey(id)
    const cached = await redis.get(key).catch(() => null)
    if (cached !== null) return JSON.parse(cached)
    const row = await selectOrder(sql, id)
    if (!row) return null
    const document = orderDocument(row)
    await redis.setEx(key, TTL_SECONDS, document).catch(() => undefined)
    return JSON.parse(document)
  }
}
