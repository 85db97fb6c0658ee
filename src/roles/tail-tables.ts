import type { Sql } from 'postgres'

import { isTableCaptured, type DebeziumOptions } from '../change/debezium/options.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'

export interface TailTables {
  /** `public.orders` */
  readonly tables: readonly string[]
  /** Left out: published, their UPDATEs and DELETEs would fail, and nobody has named them. */
  readonly weak: readonly string[]
}

export interface CatalogTable {
  readonly schema: string
  readonly table: string
  readonly isPartitioned: boolean
  readonly isPartition: boolean
  /** UPDATE and DELETE would fail if it were published. Of a partitioned table: those of a leaf. */
  readonly isWeak: boolean
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
  const tables = captured.filter((table) => !isRefused(table)).map(nameOf)
  const weak = captured.filter(isRefused).map(nameOf)
  if (tables.length === 0) {
    const why = weak.length > 0 ? `: without a usable replica identity, and not named: ${weak.join(', ')}` : ''
    throw new TrackOpsError('CONFIG_INVALID', `there is no table to follow${why}`)
  }
  return { tables, weak }
}

/** Tables that table.include.list names rather than describes: `public.orders`, `public\.orders`. In lower case. */
function namedTables(options: DebeziumOptions): ReadonlySet<string> {
  const names = (options.tableInclude ?? []).map((expression) => {
    const inner = expression.source.replace(/^\^\(\?:/, '').replace(/\)\$$/, '')
    return inner.replaceAll('\\.', '.').toLowerCase()
  })
  return new Set(names.filter((name) => /^[\w ]+\.[\w ]+$/.test(name)))
}

function nameOf({ schema, table }: CatalogTable): string {
  return `${schema}.${table}`
}

/** Permanent tables outside of the system's schemas. @throws TrackOpsError POSTGRES_UNREACHABLE, ... */
export async function readTables(sql: Sql): Promise<readonly CatalogTable[]> {
  try {
    return await sql<CatalogTable[]>`
      with identity as (
        select c.oid, case c.relreplident
                        when 'f' then false
                        when 'd' then not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
                        when 'i' then not exists (select from pg_index i where i.indrelid = c.oid and i.indisreplident)
                        else true end as weak
          from pg_class c where c.relkind in ('r', 'p')
      )
      select n.nspname::text as schema, c.relname::text as table, c.relkind = 'p' as "isPartitioned",
             c.relispartition as "isPartition",
             case when c.relkind = 'r' then identity.weak
                  else exists (select from pg_partition_tree(c.oid) leaf join identity i on i.oid = leaf.relid
                                where leaf.isleaf and i.weak) end as "isWeak"
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
