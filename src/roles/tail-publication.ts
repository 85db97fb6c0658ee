import type { Sql } from 'postgres'

import { quoteIdentifier } from '../capture/publication.ts'
import { DEFAULT_SKIPPED, type DebeziumOptions } from '../change/debezium/options.ts'
import { fromPostgres, sqlStateOf } from '../runtime/postgres-errors.ts'
import type { CatalogTable } from './tail-tables.ts'

/** Ours from the start, as capture's own way has no place for Debezium's options and PostgreSQL 18's. */
export async function createTailPublication(
  sql: Sql,
  name: string,
  tables: readonly CatalogTable[],
  options: DebeziumOptions,
): Promise<void> {
  const list = tables.map(({ schema, table }) => `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`)
  const settings = [
    ...publishedOperations(options),
    ...(options.publishViaPartitionRoot ? ['publish_via_partition_root = true'] : []),
    ...(tables.some((table) => table.needsGenerated) ? ['publish_generated_columns = stored'] : []),
  ]
  const having = settings.length > 0 ? ` with (${settings.join(', ')})` : ''
  for (let attempt = 1; ; attempt++) {
    try {
      await sql.unsafe(`create publication ${quoteIdentifier(name)} for table ${list.join(', ')}${having}`)
      return
    } catch (error) {
      // Somebody who makes a publication of the same tables may lock them in another order, and one of the two is ended for it.
      if (attempt < MAX_ATTEMPTS && sqlStateOf(error) === DEADLOCK_DETECTED) continue
      throw fromPostgres(error, 'creating a publication')
    }
  }
}

const MAX_ATTEMPTS = 5
const DEADLOCK_DETECTED = '40P01'

const OPERATIONS = { c: 'insert', u: 'update', d: 'delete', t: 'truncate' }

/** As Debezium does: what is skipped on demand is not published, so that transactions of nothing else are not seen. */
function publishedOperations({ skippedOperations }: DebeziumOptions): readonly string[] {
  if (skippedOperations === DEFAULT_SKIPPED) return []
  const published = Object.entries(OPERATIONS).filter(([letter]) => !skippedOperations.has(letter))
  return [`publish = '${published.map(([, name]) => name).join(', ')}'`]
}
