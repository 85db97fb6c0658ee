/** Which transactions made the rows that are there now: what an entry's own version is held against. */
import type { Sql } from 'postgres'

import type { CompiledListView, CompiledRowView } from '../../cache/compiled-view.ts'
import type { WantedKey } from '../../cache/database-read.ts'
import { arrayLiteral, keyCondition, quote, quotedTable, readKeyColumns } from '../../cache/key-columns.ts'
import { canonicalText, memberField } from '../../cache/key-template.ts'
import { type Lsn, parseLsn } from '../../change/lsn.ts'
import { extendXid, parseSnapshot } from '../../change/transaction-id.ts'
import { fromPostgres } from '../../runtime/postgres-errors.ts'

export interface RowVersions {
  /** The first transaction id that was not given out yet. */
  readonly xmax: bigint
  readonly insertLsn: Lsn
  /** By key; then by member for a list, '' for a row. A key without rows is not there. */
  readonly xids: ReadonlyMap<string, ReadonlyMap<string, bigint>>
}

/** A row written in a subtransaction (a savepoint, an EXCEPTION block) has that one's id, which no change event carries. */
export async function readRowVersions(
  sql: Sql,
  view: CompiledRowView | CompiledListView,
  keys: readonly WantedKey[],
): Promise<RowVersions> {
  const named = await readKeyColumns(sql, view)
  const columns = [...named.map(({ name }) => name), ...(view.kind === 'list' ? [view.view.member] : [])]
  const texts = columns.map((column, index) => `t.${quote(column)}::text as c${index}`)
  const parameters = named.map((_, index) => arrayLiteral(keys.map((key) => key.texts[index] ?? '')))
  const statement = `select pg_catalog.pg_current_snapshot()::text as snapshot, pg_catalog.pg_current_wal_insert_lsn()::text as lsn, r.*
    from (select 1) as one left join lateral (
      select t.xmin::text as xid, ${texts.join(', ')} from ${quotedTable(view.view.table)} as t where ${keyCondition(named)}
    ) as r on true`
  const rows = await sql
    .unsafe<Record<string, string | null>[]>(
      statement,
      parameters.map((value) => sql.typed(value as never, 25)),
      { prepare: true },
    )
    .catch((error: unknown) => {
      throw fromPostgres(error, `reading row versions for view ${view.name}`)
    })
  const { xmax } = parseSnapshot(rows[0]?.['snapshot'] ?? '')
  const xids = new Map<string, Map<string, bigint>>()
  for (const row of rows) {
    if (typeof row['xid'] !== 'string') continue
    const key = view.template.format(
      named.map(({ typeName }, index) => canonicalText(typeName, row[`c${index}`] ?? '')),
    )
    const member = view.kind === 'list' ? memberField(row[`c${named.length}`] ?? '') : ''
    const ofKey = xids.get(key) ?? new Map<string, bigint>()
    xids.set(key, ofKey.set(member, extendXid(Number(row['xid']), xmax)))
  }
  return { xmax, insertLsn: parseLsn(rows[0]?.['lsn'] ?? ''), xids }
}
