import type { Sql, TransactionSql } from 'postgres'

import { parseLsn, toLsn } from '../change/lsn.ts'
import type { FreshnessToken } from './token.ts'

/** No position is at or after it: such a token is met only by its transaction or by a snapshot that shows it. */
const NEVER_REACHED = toLsn(0xffff_ffff_ffff_ffffn)

/**
 * Runs `work` in a transaction and gives, once it is committed, the token with which a read is sure to see it (L7).
 *
 * The LSN has to be at or after the end of the commit record. COMMIT returns when that is flushed, so the flushed position serves, and it
 * is one that replication gets to even if nothing else is written. With `synchronous_commit = off` COMMIT returns before: then only
 * the insert position is sure to be behind it. A transaction that wrote nothing has a token too: what it saw was committed before it
 * ended.
 *
 * @throws whatever `work` and the commit throw. What fails after the commit is no error: the write is done, and a token that
 * no position reaches makes the read ask the database.
 */
export async function writeFresh<T>(
  sql: Sql,
  work: (tx: TransactionSql) => Promise<T>,
): Promise<{ readonly result: T; readonly token: FreshnessToken }> {
  let xid = 0n
  let isFlushed = true
  let result: { readonly value: T } | undefined
  await sql.begin(async (tx) => {
    result = { value: await work(tx) }
    const [row] = await tx<{ xid: string; durability: string }[]>`
      select pg_current_xact_id()::text as xid, current_setting('synchronous_commit') as durability`
    xid = BigInt(row?.xid ?? 0)
    isFlushed = row?.durability !== 'off'
  })
  if (!result) throw new Error('the transaction ended without running')
  return { result: result.value, token: { xid, lsn: await positionAfter(sql, isFlushed) } }
}

async function positionAfter(sql: Sql, isFlushed: boolean): Promise<FreshnessToken['lsn']> {
  try {
    const [row] = await sql<{ flushed: string; inserted: string }[]>`
      select pg_current_wal_flush_lsn()::text as flushed, pg_current_wal_insert_lsn()::text as inserted`
    return row ? parseLsn(isFlushed ? row.flushed : row.inserted) : NEVER_REACHED
  } catch {
    return NEVER_REACHED
  }
}
