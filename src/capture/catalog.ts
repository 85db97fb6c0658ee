import type { Sql } from 'postgres'

import type { Column, ColumnType, Relation } from '../change/relation.ts'
import { toCaptureError } from './postgres-error.ts'
import type { RelationMessage } from './pgoutput-messages.ts'

/**
 * What a relation message does not say: types below domains, nullability, defaults, keys. Read when the message is handled, so
 * it is the catalog of now, not of the row's time (Debezium does the same; debezium-events.md 6.2). A table that is gone by
 * then is described by its message alone, with its identity columns as the key.
 */
export interface Catalog {
  /** Gives the very same object as before when nothing has changed. @throws TrackOpsError POSTGRES_UNREACHABLE, ... */
  resolve(message: RelationMessage): Promise<Relation>
}

interface ColumnFacts {
  readonly name: string
  readonly is_nullable: boolean
  readonly default_expression: string | null
}

interface TypeRow {
  readonly oid: number
  readonly root_oid: number
  readonly root_name: string
  readonly root_kind: string
  readonly element_oid: number
  readonly modifier: number
}

const KINDS: Readonly<Record<string, ColumnType['kind']>> = {
  b: 'base',
  e: 'enum',
  c: 'composite',
  r: 'range',
  m: 'multirange',
  p: 'pseudo',
}

export function createCatalog(sql: Sql): Catalog {
  const known = new Map<number, { readonly fingerprint: string; readonly relation: Relation }>()
  const types = new Map<number, TypeRow>()

  async function loadTypes(oids: readonly number[]): Promise<void> {
    let missing = oids.filter((oid) => !types.has(oid))
    while (missing.length > 0) {
      const rows = await sql<TypeRow[]>`
        with recursive chain as (
          select t.oid as start, t.oid, t.typtype, t.typbasetype, t.typtypmod as modifier, 0 as depth
            from pg_type t where t.oid = any(${missing}::bigint[]::oid[])
          union all
          select c.start, t.oid, t.typtype, t.typbasetype,
                 case when c.modifier = -1 then t.typtypmod else c.modifier end, c.depth + 1
            from chain c join pg_type t on t.oid = c.typbasetype where c.typtype = 'd'
        )
        select c.start::bigint::float8 as oid, r.oid::bigint::float8 as root_oid, r.typname::text as root_name,
               r.typtype::text as root_kind, c.modifier,
               case when r.typcategory = 'A' and r.typlen = -1 and r.typname not in ('int2vector', 'oidvector')
                    then r.typelem::bigint::float8 else 0 end as element_oid
          from chain c join pg_type r on r.oid = c.oid
         where c.typtype <> 'd'`
      for (const row of rows) types.set(row.oid, row)
      // a type that is gone meanwhile: never asked for again
      for (const oid of missing) if (!types.has(oid)) types.set(oid, unknownType(oid))
      missing = rows.map((row) => row.element_oid).filter((oid) => oid !== 0 && !types.has(oid))
    }
  }

  function columnType(oid: number, modifier: number): ColumnType {
    const row = types.get(oid) ?? unknownType(oid)
    const inEffect = modifier === -1 ? row.modifier : modifier
    return {
      oid,
      rootOid: row.root_oid,
      name: row.root_name,
      modifier: inEffect,
      kind: row.element_oid === 0 ? (KINDS[row.root_kind] ?? 'base') : 'array',
      // the modifier of an array is that of its elements
      element: row.element_oid === 0 ? null : columnType(row.element_oid, inEffect),
    }
  }

  async function describe(message: RelationMessage): Promise<Relation> {
    await loadTypes([...new Set(message.columns.map((column) => column.typeOid))])
    const facts = await sql<ColumnFacts[]>`
      select a.attname::text as name, not (a.attnotnull or t.typtype = 'd' and t.typnotnull) as is_nullable,
             pg_get_expr(d.adbin, d.adrelid) as default_expression
        from pg_attribute a join pg_type t on t.oid = a.atttypid
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated = ''
       where a.attrelid = ${message.oid}::oid and a.attnum > 0 and not a.attisdropped`
    const keys = await sql<{ column: string }[]>`
      with candidate as (
        select i.indexrelid, i.indkey, i.indnkeyatts
          from pg_index i join pg_class c on c.oid = i.indexrelid
         where i.indrelid = ${message.oid}::oid and i.indisunique and i.indisvalid
           and not (0 = any(i.indkey::int2[]))
         order by i.indisprimary desc, c.relname limit 1
      )
      select a.attname::text as column
        from candidate c
        cross join lateral unnest(c.indkey::int2[]) with ordinality as k(attnum, place)
        join pg_attribute a on a.attrelid = ${message.oid}::oid and a.attnum = k.attnum
       where k.place <= c.indnkeyatts
       order by k.place`
    const byName = new Map(facts.map((fact) => [fact.name, fact]))
    const columns = message.columns.map((column): Column => {
      const fact = byName.get(column.name)
      return {
        name: column.name,
        type: columnType(column.typeOid, column.typeModifier),
        isIdentity: column.isIdentity,
        isNullable: fact?.is_nullable ?? true,
        defaultExpression: fact?.default_expression ?? null,
      }
    })
    const columnIndex = new Map(columns.map((column, index) => [column.name, index]))
    const fromIndex = keys.map(({ column }) => columnIndex.get(column))
    // a key column that the message lacks: the catalog is ahead of the stream, and the message is right about its rows
    const isKnown = facts.length > 0 && !fromIndex.includes(undefined)
    return {
      oid: message.oid,
      schema: message.schema,
      table: message.table,
      replicaIdentity: message.replicaIdentity,
      columns,
      columnIndex,
      keyColumns: isKnown ? fromIndex.filter((index) => index !== undefined) : identityKey(message),
    }
  }

  return {
    async resolve(message) {
      const relation = await describe(message).catch((error: unknown) => {
        throw toCaptureError(error, `reading the catalog for ${message.schema}.${message.table}`)
      })
      const fingerprint = JSON.stringify({ ...relation, columnIndex: null })
      const before = known.get(message.oid)
      if (before?.fingerprint === fingerprint) return before.relation
      known.set(message.oid, { fingerprint, relation })
      return relation
    },
  }
}

/** Under FULL every column is identity, which makes no key. */
function identityKey(message: RelationMessage): number[] {
  if (message.replicaIdentity === 'full') return []
  return message.columns.flatMap((column, index) => (column.isIdentity ? [index] : []))
}

function unknownType(oid: number): TypeRow {
  return { oid, root_oid: oid, root_name: `unknown_${oid}`, root_kind: 'b', element_oid: 0, modifier: -1 }
}
