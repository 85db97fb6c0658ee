import type { Sql, TransactionSql } from 'postgres'

import { Problem } from '../http/problem.ts'

/** How long a key is remembered. A client that repeats a request does so within minutes; a day is what others promise, too. */
export const KEY_RETENTION_HOURS = 24

const PURGE_LIMIT = 1_000

export interface Claim {
  readonly key: string
  readonly requestHash: string
}

/**
 * The answer that this key got before, or undefined: then the caller creates the order and calls `remember` in the same
 * transaction. Of two requests at once, the second waits here for the end of the first.
 * @throws Problem 422 where the key came with another body
 */
export async function recall(tx: TransactionSql, claim: Claim): Promise<string | undefined> {
  // An advisory lock, not an insert: the row can then be written once, complete, when the answer is known. A collision of
  // hashes makes two strangers wait for each other, no more.
  await tx`select pg_advisory_xact_lock(hashtextextended(${`trackops order_requests ${claim.key}`}, 0))`
  const rows = await tx<{ request_hash: string; response: string }[]>`
    select request_hash, response
    from order_requests
    where idempotency_key = ${claim.key} and created_at >= now() - make_interval(hours => ${KEY_RETENTION_HOURS})`
  const [earlier] = rows
  if (!earlier) return undefined
  if (earlier.request_hash !== claim.requestHash) {
    throw new Problem('idempotency-key-reused', 'This Idempotency-Key came with another body before; use a new one.')
  }
  return earlier.response
}

/** A key past its retention may still be there: it is taken over. */
export async function remember(tx: TransactionSql, claim: Claim, orderId: string, response: string): Promise<void> {
  await tx`
    insert into order_requests (idempotency_key, request_hash, order_id, response)
    values (${claim.key}, ${claim.requestHash}, ${orderId}::uuid, ${response})
    on conflict (idempotency_key) do update
    set request_hash = excluded.request_hash, order_id = excluded.order_id, response = excluded.response, created_at = now()`
}

/** Removes what is past the retention, a bounded piece at a time; returns how many. */
export async function purgeOldKeys(sql: Sql): Promise<number> {
  const removed = await sql`
    delete from order_requests
    where idempotency_key in (
      select idempotency_key from order_requests
      where created_at < now() - make_interval(hours => ${KEY_RETENTION_HOURS})
      order by created_at
      limit ${PURGE_LIMIT}
      for update skip locked
    )`
  return removed.count
}
