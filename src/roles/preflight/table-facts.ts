import type { Sql } from 'postgres'

import { splitTableName } from '../../capture/publication.ts'

/** What the catalog says about a table that the configuration names. */
export interface TableFacts {
  readonly name: string
  /** `pg_class.relkind`: r table, p partitioned, v view, m materialised view, f foreign table */
  readonly kind: string
  readonly isUnlogged: boolean
  readonly canRead: boolean
  /** Row security hides rows from this role. */
  readonly isFiltered: boolean
  readonly hasPrimaryKey: boolean
  readonly columns: ReadonlyMap<string, ColumnFacts>
  /** The columns of each unique index. */
  readonly uniqueKeys: readonly (readonly string[])[]
  /** The tables whose rows the change stream shows: the table itself, or the leaves of a partitioned one. */
  readonly members: readonly MemberFacts[]
}

export interface ColumnFacts {
  readonly name: string
  /** Below a domain, the domain's base type: `uuid`, `_text` */
  readonly type: string
  /** `pg_type.typtype`, of an array its element's: b base, c composite, d domain, e enum, r range, m multirange */
  readonly typeKind: string
  readonly isArray: boolean
  readonly isGenerated: boolean
  /** Computed when it is read, and stored nowhere (PostgreSQL 18). */
  readonly isVirtual: boolean
  /** Long values may be stored out of line; an update that leaves such a value alone does not bring it. */
  readonly isToastable: boolean
  readonly hasDeterministicCollation: boolean
}

export interface MemberFacts {
  readonly name: string
  /** `pg_class.relreplident`: d default, f full, i index, n nothing */
  readonly identity: 'd' | 'f' | 'i' | 'n'
  /** What an old row has, unless the identity is FULL. Empty: updates and deletes fail once the table is published. */
  readonly identityColumns: readonly string[]
  /** Size of what is stored out of line. */
  readonly toastBytes: number
}

interface Row {
  readonly name: string
  readonly kind: string
  readonly is_unlogged: boolean
  readonly can_read: boolean
  readonly is_filtered: boolean
  readonly has_primary_key: boolean
  readonly columns: readonly ColumnFacts[]
  readonly unique_keys: readonly (readonly string[])[]
  readonly members: readonly MemberFacts[]
}

/** Of those tables that exist and that this role may see. */
export async function readTableFacts(sql: Sql, names: readonly string[]): Promise<ReadonlyMap<string, TableFacts>> {
  const wanted = names.map((name) => splitTableName(name))
  const rows = await sql<Row[]>`
    with wanted as (
      select * from unnest(${wanted.map(([schema]) => schema)}::text[], ${wanted.map(([, table]) => table)}::text[])
        as w(schema_name, table_name)
    )
    select w.schema_name || '.' || w.table_name as name, c.relkind::text as kind, c.relpersistence = 'u' as is_unlogged,
           has_table_privilege(c.oid, 'select') as can_read, row_security_active(c.oid) as is_filtered,
           exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as has_primary_key,
           (select coalesce(jsonb_agg(jsonb_build_object(
                     'name', a.attname, 'type', coalesce(base.typname, t.typname),
                     'typeKind', coalesce((select e.typtype from pg_type e where e.oid = coalesce(base.typelem, t.typelem)
                                             and coalesce(base.typcategory, t.typcategory) = 'A'), base.typtype, t.typtype),
                     'isArray', coalesce(base.typcategory, t.typcategory) = 'A',
                     'isGenerated', a.attgenerated <> '', 'isVirtual', a.attgenerated = 'v',
                     'isToastable', a.attlen = -1 and a.attstorage <> 'p',
                     'hasDeterministicCollation', coalesce(l.collisdeterministic, true)) order by a.attnum), '[]')
              from pg_attribute a join pg_type t on t.oid = a.atttypid
              left join pg_type base on base.oid = t.typbasetype and t.typtype = 'd'
              left join pg_collation l on l.oid = a.attcollation
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
           (select coalesce(jsonb_agg(names), '[]') from (
              select (select jsonb_agg(a.attname) from unnest(i.indkey::int2[]) with ordinality k(attnum, place)
                        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
                       where k.place <= i.indnkeyatts) as names
                from pg_index i
               where i.indrelid = c.oid and i.indisunique and i.indisvalid and not (0 = any(i.indkey::int2[]))) u
           ) as unique_keys,
           (select coalesce(jsonb_agg(jsonb_build_object(
                     'name', ln.nspname || '.' || leaf.relname, 'identity', leaf.relreplident,
                     'identityColumns', coalesce((
                        select jsonb_agg(a.attname) from pg_index i
                          cross join lateral unnest(i.indkey::int2[]) with ordinality k(attnum, place)
                          join pg_attribute a on a.attrelid = leaf.oid and a.attnum = k.attnum
                         where i.indrelid = leaf.oid and k.place <= i.indnkeyatts
                           and case leaf.relreplident when 'd' then i.indisprimary
                                                      when 'i' then i.indisreplident else false end), '[]'),
                     'toastBytes', coalesce(pg_relation_size(nullif(leaf.reltoastrelid, 0)), 0)) order by leaf.oid), '[]')
              from (select c.oid where c.relkind <> 'p'
                    union select p.relid::oid from pg_partition_tree(c.oid) p where p.isleaf and c.relkind = 'p') m
              join pg_class leaf on leaf.oid = m.oid
              join pg_namespace ln on ln.oid = leaf.relnamespace) as members
      from wanted w
      join pg_namespace n on n.nspname = w.schema_name
      join pg_class c on c.relnamespace = n.oid and c.relname = w.table_name and c.relkind in ('r', 'p', 'v', 'm', 'f')`
  return new Map(
    rows.map((row) => [
      row.name,
      {
        name: row.name,
        kind: row.kind,
        isUnlogged: row.is_unlogged,
        canRead: row.can_read,
        isFiltered: row.is_filtered,
        hasPrimaryKey: row.has_primary_key,
        columns: new Map(row.columns.map((column) => [column.name, column])),
        uniqueKeys: row.unique_keys,
        members: row.members,
      },
    ]),
  )
}
