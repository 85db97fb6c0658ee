import type { Sql, TransactionSql } from 'postgres'

/** A consumer's position that lives in PostgreSQL, in the same transaction as its effects. */
export interface StoredLogPosition {
  readonly position: string
  /** Every transaction below it was processed; null if not known yet. */
  readonly horizon: bigint | null
}

export async function readLogPosition(sql: Sql, consumer: string): Promise<StoredLogPosition | undefined> {
  const rows = await sql<{ position: string; horizon: string | null }[]>`
    select position, horizon::text from trackops.positions where consumer = ${consumer}`
  const row = rows[0]
  return row && { position: row.position, horizon: row.horizon === null ? null : BigInt(row.horizon) }
}

/**
 * Moves on from the position that the caller believes is stored; false, and nothing written, if another is there: somebody
 * else owns it now. `from` null: there must be none.
 */
export async function moveLogPosition(
  tx: TransactionSql,
  consumer: string,
  move: { readonly from: string | null; readonly to: string; readonly horizon: bigint | null },
): Promise<boolean> {
  const horizon = move.horizon === null ? null : move.horizon.toString()
  const moved =
    move.from === null
      ? await tx`
          insert into trackops.positions (consumer, position, horizon)
          values (${consumer}, ${move.to}, ${horizon}::text::xid8)
          on conflict (consumer) do nothing`
      : await tx`
          update trackops.positions
          set position = ${move.to}, horizon = coalesce(${horizon}::text::xid8, horizon), updated_at = now()
          where consumer = ${consumer} and position = ${move.from}`
  return moved.count === 1
}
