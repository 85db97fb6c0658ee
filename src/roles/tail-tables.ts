import type { Sql } from 'postgres'

import { isTableCaptured, type DebeziumOptions } from '../change/debezium/options.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'

export interface TailTables {
  readonly tables: readonly CatalogTable[]
  /** Left out: published, their UPDATEs and DELETEs would fail, and nobody has named them. */
  readonly weak: readonly CatalogTable[]
}

export interface CatalogTable {
  readonly schema: string
  readonly table: string
  readonly isPartitioned: boolean
  readonly isPartition: boolean
  /** UPDATE and DELETE would fail if it were published. Of a partitioned table: those of a leaf. */
  readonly isWeak: boolean
  /**
   * The identity holds a stored generated column. PostgreSQL 18 then refuses UPDATE and DELETE unless the publication
   * publishes generated columns; before 18 false.
   */
  readonly needsGenerated: boolean
}

/**
 * Which tables a tail follows. Pure. Changes of a partitioned table appear under its leaves, so the root is read only if it
 * is asked for: Debezium's snapshot would give every row twice.
 *
 * @throws TrackOpsError CONFIG_INVALID if a table that is named is not there, or nothing is left
 */
export function chooseTables(all: readonly CatalogTable[], options: DebeziumOptions): TailTables {
  const named = namedTables(options)
  const present = new Set(all.map((table) => nameOf(table).toLowerCase()))
  const missing = [...named].filter((name) => !present.has(name))
  if (missing.length > 0) throw new TrackOpsError('CONFIG_INVALID', `there is no table ${missing.join(', ')}`)

  const captured = all.filter((table) => {
    if (!isTableCaptured(options, table.schema, table.table)) return false
    if (options.publishViaPartitionRoot) return !table.isPartition
    return !table.isPartitioned || options.tableInclude !== null
  })
  const isRefused = (table: CatalogTable): boolean => table.isWeak && !named.has(nameOf(table).toLowerCase())
  const tables = inSnapshotOrder(
    captured.filter((table) => !isRefused(table)),
    options,
  )
  const weak = captured.filter(isRefused)
  if (tables.length === 0) {
    const why =
      weak.length > 0 ? `: without a usable replica identity, and not named: ${weak.map(nameOf).join(', ')}` : ''
    throw new TrackOpsError('CONFIG_INVALID', `there is no table to follow${why}`)
  }
  return { tables, weak }
}

/** Debezium reads them in the order of the expressions that match, those of one expression by name. */
function inSnapshotOrder(tables: readonly CatalogTable[], options: DebeziumOptions): readonly CatalogTable[] {
  const placeOf = (table: CatalogTable): number => {
    return options.tableInclude?.findIndex((expression) => expression.test(nameOf(table))) ?? 0
  }
  const byName = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)
  return tables.toSorted((a, b) => placeOf(a) - placeOf(b) || byName(nameOf(a), nameOf(b)))
}

/** Tables that table.include.list names rather than describes: `public.orders`, `public\.orders`. In lower case. */
function namedTables(options: DebeziumOptions): ReadonlySet<string> {
  const names = (options.tableInclude ?? []).map((expression) => {
    const inner = expression.source.replace(/^\^\(\?:/, '').replace(/\)\$$/, '')
    return inner.replaceAll('\\.', '.').toLowerCase()
  })
  return new Set(names.filter((name) => /^[\w ]+\.[\w ]+$/.test(name)))
}

/** `public.orders` */
export function nameOf({ schema, table }: Pick<CatalogTable, 'schema' | 'table'>): string {
  return `${schema}.${table}`
}

/** Permanent tables outside of the system's schemas. @throws TrackOpsError POSTGRES_UNREACHABLE, ... */
export async function readTables(sql: Sql): Promise<readonly CatalogTable[]> {
  try {
    return await sql<CatalogTable[]>`
      with generated as (
        select a.attrelid, array_agg(a.attnum) as columns, bool_or(a.attgenerated = 'v') as has_virtual
          from pg_attribute a
         where a.attgenerated <> '' and not a.attisdropped and current_setting('server_version_num')::int >= 180000
         group by a.attrelid
      ), identity as (
        select c.oid,
               case c.relreplident
                 when 'f' then coalesce(g.has_virtual, false)
                 when 'd' then i.indexrelid is null
                 when 'i' then i.indexrelid is null
                 else true end as weak,
               coalesce(c.relreplident = 'f' or g.columns && i.indkey::int2[], false) and g.attrelid is not null
                 as needs_generated
          from pg_class c
          left join generated g on g.attrelid = c.oid
          left join pg_index i on i.indrelid = c.oid
                and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end
         where c.relkind in ('r', 'p')
      )
      select n.nspname::text as schema, c.relname::text as table, c.relkind = 'p' as "isPartitioned",
             c.relispartition as "isPartition",
             case when c.relkind = 'r' then identity.weak
                  else exists (select from pg_partition_tree(c.oid) leaf join identity i on i.oid = leaf.relid
                                where leaf.isleaf and i.weak) end as "isWeak",
             identity.needs_generated as "needsGenerated"
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join identity on identity.oid = c.oid
       where c.relkind in ('r', 'p') and c.relpersistence = 'p'
         and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%'
       order by 1, 2`
  } catch (error) {
    throw fromPostgres(error, 'reading the list of tables')
  }
}
