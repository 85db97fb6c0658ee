import type { ChangeEvent } from './consume.ts'
import { entityKey } from './order-document.ts'

/** On every change: DEL. */
export function createInvalidator(redis: { del(key: string): Promise<unknown> }) {
  return async ({ op, before, after }: ChangeEvent): Promise<void> => {
    const row = after ?? before
    if (op !== 'r' && row) await redis.del(entityKey(row.id))
  }
}
