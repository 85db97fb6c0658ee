import type { Sql } from 'postgres'

import { TrackOpsError } from '../runtime/errors.ts'
import type { CompiledListView, CompiledRowView } from './compiled-view.ts'

/** The type of a column that a key names. */
export interface KeyColumn {
  readonly name: string
  /** Quoted, with its schema: for a cast. */
  readonly sqlType: string
  /** Below all domains, as in ColumnType. */
  readonly typeName: string
}

/** @throws TrackOpsError CONFIG_INVALID if the table or a column is not there */
export async function readKeyColumns(
  sql: Sql,
  view: CompiledRowView | CompiledListView,
): Promise<readonly KeyColumn[]> {
  const { table } = view.view
  const [schema, name] = splitTable(table)
  const rows = await sql<KeyColumn[]>`
    with recursive named as (
      select a.attname::text as name, quote_ident(n.nspname) || '.' || quote_ident(t.typname) as "sqlType", t.oid, t.typname, t.typtype,
             t.typbasetype
        from pg_catalog.pg_attribute a
        join pg_catalog.pg_class c on c.oid = a.attrelid
        join pg_catalog.pg_namespace s on s.oid = c.relnamespace
        join pg_catalog.pg_type t on t.oid = a.atttypid
        join pg_catalog.pg_namespace n on n.oid = t.typnamespace
       where s.nspname = ${schema} and c.relname = ${name} and a.attnum > 0 and not a.attisdropped
      union all
      select d.name, d."sqlType", t.oid, t.typname, t.typtype, t.typbasetype
        from named d join pg_catalog.pg_type t on t.oid = d.typbasetype where d.typtype = 'd'
    )
    select name, "sqlType", typname::text as "typeName" from named where typtype <> 'd'`
  return view.template.parameters.map((column) => {
    const found = rows.find((row) => row.name === column)
    if (found) return found
    throw new TrackOpsError('CONFIG_INVALID', `view ${view.name}: ${table} has no column ${column}, or does not exist`)
  })
}

export function splitTable(table: string): [schema: string, name: string] {
  const dot = table.indexOf('.')
  return dot === -1 ? ['public', table] : [table.slice(0, dot), table.slice(dot + 1)]
}

/** That a row `t` has one of the keys whose texts are given: `$1` the first column's as an array literal, `$2` the second's, ... */
export function keyCondition(named: readonly KeyColumn[]): string {
  const columns = named.map(({ name }) => `t.${quote(name)}`)
  const lists = named.map(({ sqlType }, index) => `$${index + 1}::${sqlType}[]`)
  if (named.length === 1) return `${columns.join()} = any(${lists.join()})`
  return `(${columns.join(', ')}) in (select * from unnest(${lists.join(', ')}))`
}

export function quotedTable(table: string): string {
  return splitTable(table).map(quote).join('.')
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function arrayLiteral(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`
}
