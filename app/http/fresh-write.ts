import type { Sql, TransactionSql } from 'postgres'

import { type FreshnessToken, writeFresh } from '../../src/index.ts'
import { DEADLINE, withinDeadline } from './deadline.ts'

/** How long a write waits for a row that somebody else has locked, and how long one statement may take: then 503. */
const LOCK_TIMEOUT_MS = 5_000
const STATEMENT_TIMEOUT_MS = 10_000

/** One transaction, with the token that lets a reader see it. It does not begin after its client was told 503. */
export function writeInTime<T>(
  sql: Sql,
  work: (tx: TransactionSql) => Promise<T>,
): Promise<{ readonly result: T; readonly token: FreshnessToken }> {
  return withinDeadline(DEADLINE, (begin) =>
    writeFresh(sql, async (tx) => {
      begin()
      await tx`
        select set_config('lock_timeout', ${String(LOCK_TIMEOUT_MS)}, true),
               set_config('statement_timeout', ${String(STATEMENT_TIMEOUT_MS)}, true)`
      return await work(tx)
    }),
  )
}

/** A read, through the cache or not: the same patience. */
export function readInTime<T>(read: () => Promise<T>): Promise<T> {
  return withinDeadline(DEADLINE, read)
}
