import type { Sql } from 'postgres'

import type { ColumnType } from '../change/relation.ts'

/** Types by oid, as change events describe them, so that a read gives a view's function the same values (`valueOf`). */
export interface TypeCatalog {
  /** Asks the database for those that are not known yet; keeps them until `forget`. */
  load(oids: readonly number[]): Promise<void>
  get(oid: number): ColumnType
  forget(): void
}

interface TypeRow {
  readonly asked: number
  readonly root: number
  readonly name: string
  readonly kind: string
  readonly element: number
}

const KINDS: Readonly<Record<string, ColumnType['kind']>> = {
  e: 'enum',
  c: 'composite',
  r: 'range',
  m: 'multirange',
  p: 'pseudo',
}

export function createTypeCatalog(sql: Sql): TypeCatalog {
  let types = new Map<number, TypeRow>()

  const get = (oid: number): ColumnType => {
    const row = types.get(oid)
    if (!row) return { oid, rootOid: oid, name: '', modifier: -1, kind: 'base', element: null }
    const isArray = row.element !== 0
    return {
      oid,
      rootOid: row.root,
      name: row.name,
      modifier: -1,
      kind: isArray ? 'array' : (KINDS[row.kind] ?? 'base'),
      element: isArray ? get(row.element) : null,
    }
  }

  return {
    async load(oids) {
      let missing = oids.filter((oid) => !types.has(oid))
      while (missing.length > 0) {
        // int2vector and oidvector are of category A too, but not of the array's text form: their length is not -1, or they are
        // told apart by name.
        const rows = await sql<TypeRow[]>`
          with recursive chain as (
            select oid as asked, oid, typtype, typbasetype from pg_catalog.pg_type
             where oid = any(${`{${missing.join(',')}}`}::text::oid[])
            union all
            select c.asked, t.oid, t.typtype, t.typbasetype
              from chain c join pg_catalog.pg_type t on t.oid = c.typbasetype where c.typtype = 'd'
          )
          select c.asked::bigint::float8 as asked, r.oid::bigint::float8 as root, r.typname::text as name, r.typtype::text as kind,
                 case when r.typcategory = 'A' and r.typlen = -1 and r.typname not in ('int2vector', 'oidvector')
                      then r.typelem::bigint::float8 else 0 end as element
            from chain c join pg_catalog.pg_type r on r.oid = c.oid where c.typtype <> 'd'`
        for (const row of rows) types.set(row.asked, row)
        missing = rows.map(({ element }) => element).filter((oid) => oid !== 0 && !types.has(oid))
      }
    },
    get,
    forget() {
      types = new Map()
    },
  }
}
