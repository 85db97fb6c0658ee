import type { Sql } from 'postgres'

import type { Relation } from '../change/relation.ts'
import { createCatalog } from './catalog.ts'
import { describeTable } from './describe-table.ts'

/**
 * Tables as the catalog has them now, for a log that carries rows without describing them: Debezium's JSON without schemas.
 * It is the catalog of now, not of the row's time, so an event with a column that is not known, or that does not read as its
 * type, asks for it anew.
 */
export interface TableRelations {
  /** With all of these columns, if the catalog has them. The same object as long as nothing has changed. */
  of(schema: string, table: string, columns: readonly string[]): Promise<Relation>
  /** Asks the catalog whatever is known. @throws TrackOpsError CONFIG_INVALID if there is no such table (any more) */
  refresh(schema: string, table: string): Promise<Relation>
}

interface Known {
  readonly relation: Relation
  /** Columns that were asked for in vain: dropped since their events. */
  readonly missing: ReadonlySet<string>
}

export function createTableRelations(sql: Sql): TableRelations {
  const catalog = createCatalog(sql)
  const known = new Map<string, Known>()

  async function refresh(schema: string, table: string, columns: readonly string[]): Promise<Relation> {
    const relation = await catalog.resolve(await describeTable(sql, schema, table, false))
    const missing = new Set(columns.filter((column) => !relation.columnIndex.has(column)))
    known.set(`${schema}.${table}`, { relation, missing })
    return relation
  }

  return {
    async of(schema, table, columns) {
      const found = known.get(`${schema}.${table}`)
      const isKnown = (column: string): boolean =>
        found !== undefined && (found.relation.columnIndex.has(column) || found.missing.has(column))
      return found && columns.every(isKnown) ? found.relation : await refresh(schema, table, columns)
    },
    refresh: (schema, table) => refresh(schema, table, []),
  }
}
