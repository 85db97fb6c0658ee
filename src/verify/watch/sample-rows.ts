/**
 * Keys of rows, whether they are cached or not: one page of a table at a time, by its number, so that a look costs the same however
 * large the table is. Rows that changed lately matter most: they are on the table's last pages (new ones) and on pages where changed rows
 * were seen before; the rest is drawn from all pages.
 */
import type { Sql } from 'postgres'

import type { CompiledListView, CompiledRowView, CompiledViews } from '../../cache/compiled-view.ts'
import { type KeyColumn, quote, quotedTable, readKeyColumns } from '../../cache/key-columns.ts'
import { canonicalText } from '../../cache/key-template.ts'
import { extendXid } from '../../change/transaction-id.ts'
import { fromPostgres } from '../../runtime/postgres-errors.ts'
import type { KeySource, SampledKeys } from './key-sources.ts'

type KeyedView = CompiledRowView | CompiledListView

const LAST_PAGES = 4
const MAX_BUSY_PAGES = 64
/** A page whose newest row was made by one of the last so many transactions is looked at again. */
const LATELY_TRANSACTIONS = 10_000n
/** Pages of a partitioned table are those of all its partitions with this number. */
const MAX_ROWS = 2_000

/** The views of one table at a time; the tables take turns. Says of each row's key which transaction made the row. */
export function createRowSampler(
  deps: { readonly sql: Sql; readonly random?: () => number },
  views: CompiledViews,
): KeySource {
  const { sql, random = Math.random } = deps
  const tables = [...Map.groupBy(views.all.filter(isKeyed), ({ view }) => view.table)]
  const known = new Map<KeyedView, Promise<readonly KeyColumn[]>>()
  const busyPages = new Map<string, number[]>()
  let turn = 0

  async function columnsOf(view: KeyedView): Promise<readonly KeyColumn[]> {
    const columns = known.get(view) ?? readKeyColumns(sql, view)
    known.set(view, columns)
    return await columns
  }

  function pageOf(table: string, pages: number): number {
    const busy = busyPages.get(table) ?? []
    const choice = random()
    const one = busy[Math.floor(random() * busy.length)]
    if (choice < 0.4 && one !== undefined && one < pages) return one
    if (choice < 0.7) return Math.max(0, pages - 1 - Math.floor(random() * LAST_PAGES))
    return Math.floor(random() * pages)
  }

  function noteBusy(table: string, page: number, isBusy: boolean): void {
    const others = (busyPages.get(table) ?? []).filter((one) => one !== page)
    if (isBusy) others.push(page)
    busyPages.set(table, others.slice(-MAX_BUSY_PAGES))
  }

  async function sample(table: string, ofTable: readonly KeyedView[], limitKeys: number): Promise<SampledKeys[]> {
    const [size] = await sql<{ pages: number; xmax: string }[]>`
      select (greatest(pg_relation_size(c), (select max(pg_relation_size(relid)) from pg_partition_tree(c)))
             / current_setting('block_size')::int)::int as pages, pg_snapshot_xmax(pg_current_snapshot())::text as xmax
        from (select ${quotedTable(table)}::regclass as c) as t`
    if (!size || size.pages === 0) return []
    const page = pageOf(table, size.pages)
    const named = await Promise.all(ofTable.map(columnsOf))
    const columns = [...new Set(named.flat().map(({ name }) => name))]
    const rows = await sql.unsafe<Record<string, string | null>[]>(
      `select t.xmin::text as xid, ${columns.map((column, index) => `t.${quote(column)}::text as c${index}`).join(', ')}
         from ${quotedTable(table)} as t where t.ctid >= '(${page},0)' and t.ctid < '(${page + 1},0)' limit ${MAX_ROWS}`,
    )
    const xmax = BigInt(size.xmax)
    const dated = rows.map((row) => ({ row, xid: extendXid(Number(row['xid']), xmax), order: random() }))
    const newest = dated.reduce((most, { xid }) => (xid > most ? xid : most), 0n)
    noteBusy(table, page, newest + LATELY_TRANSACTIONS > xmax)
    // The newest rows of the page and as many by chance.
    const byAge = dated.toSorted((a, b) => (a.xid > b.xid ? -1 : a.xid < b.xid ? 1 : 0))
    const each = Math.max(1, Math.floor(limitKeys / ofTable.length))
    const half = Math.ceil(each / 2)
    const chosen = [...byAge.slice(0, half), ...byAge.slice(half).toSorted((a, b) => a.order - b.order)].slice(0, each)
    return ofTable.map((view, at) => {
      const xids = new Map<string, bigint>()
      for (const { row, xid } of chosen) {
        const texts = (named[at] ?? []).map(({ name, typeName }) => {
          const text = row[`c${columns.indexOf(name)}`]
          return typeof text === 'string' ? canonicalText(typeName, text) : null
        })
        // A row without a value in a key's column is in no entry.
        if (texts.every((text) => text !== null)) xids.set(view.template.format(texts), xid)
      }
      return { view, keys: [...xids.keys()], xids }
    })
  }

  return {
    async next(limitKeys) {
      for (let tried = 0; tried < tables.length; tried++) {
        const [table, ofTable] = tables[turn++ % tables.length] ?? ['', []]
        const sampled = await sample(table, ofTable, limitKeys).catch((error: unknown) => {
          // A column may have another type by now.
          known.clear()
          throw fromPostgres(error, `sampling rows of ${table}`)
        })
        if (sampled.some(({ keys }) => keys.length > 0)) return sampled
      }
      return []
    },
  }
}

function isKeyed(view: CompiledViews['all'][number]): view is KeyedView {
  return view.kind !== 'query'
}
