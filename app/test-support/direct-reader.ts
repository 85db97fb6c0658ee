import type { Sql } from 'postgres'

import type {
  CacheReader,
  Document,
  KeyParameters,
  ListView,
  Read,
  ReadOptions,
  Row,
  RowView,
} from '../../src/index.ts'

/** What a test sees of the reads that a service asked for. */
export interface DirectReader extends CacheReader {
  readonly asked: { readonly view: string; readonly key: KeyParameters; readonly options: ReadOptions | undefined }[]
  /** What reads say they came from, by view; `hit` where a view is not named. */
  readonly sources: Map<string, Read<unknown>['source']>
  /** Thrown by every read, while set. */
  failure: Error | undefined
}

/** A cache that is never stale, as it has no cache: every read asks the database and runs the view's function. */
export function createDirectReader(sql: Sql): DirectReader {
  const reader: DirectReader = {
    asked: [],
    sources: new Map(),
    failure: undefined,
    get: async (view, key, options) => {
      if (view.kind !== 'row') throw new Error('the order system has no query view')
      const [row] = await rows(view, key, options)
      return { value: row ? view.document(row) : null, source: reader.sources.get(view.name) ?? 'hit' }
    },
    list: async (view, key, options) => {
      const documents = (await rows(view, key, options)).map(view.document)
      const value = documents.filter((document): document is Document => document !== null)
      return { value, source: reader.sources.get(view.name) ?? 'hit' }
    },
  }
  return reader

  async function rows(view: RowView | ListView, key: KeyParameters, options: ReadOptions | undefined): Promise<Row[]> {
    reader.asked.push({ view: view.name, key, options })
    if (reader.failure) throw reader.failure
    const columns = view.columns.map(selected).join(', ')
    const where = Object.keys(key).map((name, index) => `${name} = $${index + 1}::uuid`)
    const text = `select ${columns} from ${view.table} where ${where.join(' and ')} order by random()`
    return await sql.unsafe<Row[]>(text, Object.values(key))
  }
}

/** Columns as `valueOf` gives them (src/change/value.ts). */
function selected(column: string): string {
  if (column === 'quantity') return column
  if (!column.endsWith('_at')) return `${column}::text`
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column}`
}
