import type { Sql } from 'postgres'

import { createTypeCatalog, type TypeCatalog } from '../cache/type-catalog.ts'
import type { Row } from '../cache/view.ts'
import { valueOf } from '../change/value.ts'
import { type DeadLetter, insertDeadLetters } from '../log/dead-letters.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { type DerivedEvent, deriveFrom, letterFor } from './derive-events.ts'
import type { EventDefinition, RowChangeView } from './event-definition.ts'
import { type InsertEvents, publishEvents } from './publish-events.ts'
import type { ConsumerName } from './stream-consumer.ts'

const ROWS_AT_ONCE = 500
const CONSUMER: ConsumerName = 'order-event-consumer'

/**
 * After a slot was lost, changes have happened that nobody will ever deliver. Which rows they touched can still be told: those
 * written by a transaction at or beyond the consumer's horizon. Each definition says which events such a row must have had; those
 * that were published are not published again, as their ids are known (as long as the table of events holds them).
 *
 * What cannot be told is a row that was deleted meanwhile: docs/guarantees.md says so.
 */
export async function publishMissedEvents(
  deps: {
    readonly sql: Sql
    readonly log: Logger
    /** Default: the table of domain events. */
    readonly insert?: InsertEvents
  },
  definitions: readonly EventDefinition[],
  horizon: bigint,
  signal: AbortSignal,
): Promise<number> {
  const types = createTypeCatalog(deps.sql)
  let published = 0
  for (const definition of definitions) {
    for await (const rows of changedRows(deps.sql, definition, horizon)) {
      signal.throwIfAborted()
      await types.load(rows.columns.map(({ type }) => type))
      const events: DerivedEvent[] = []
      const letters: DeadLetter[] = []
      for (const row of rows.texts) {
        const position = `missed since ${horizon}: ${row.at(1) ?? ''}`
        const derived = deriveFrom(definition, position, () => foundRow(types, rows.columns, row))
        if ('error' in derived) letters.push(letterFor(derived, CONSUMER, derived.error))
        else for (const one of derived) events.push(one)
      }
      if (events.length === 0 && letters.length === 0) continue
      const { count, deadLetters } = await deps.sql.begin(async (tx) => {
        await insertDeadLetters(tx, letters)
        return await publishEvents(tx, events, CONSUMER, deps.insert)
      })
      published += count
      for (const letter of [...letters, ...deadLetters]) {
        deps.log.error({ ...letter, subject: undefined }, 'change set aside')
      }
    }
  }
  if (published > 0) deps.log.warn({ published }, 'events of rows that changed unseen were published')
  return published
}

interface ColumnShape {
  readonly name: string
  readonly type: number
}

interface ChangedRows {
  /** WAL position, ctid, then the definition's. */
  readonly columns: readonly ColumnShape[]
  readonly texts: readonly (readonly (string | null)[])[]
}

const OWN_COLUMNS = 2

async function* changedRows(sql: Sql, definition: EventDefinition, horizon: bigint): AsyncGenerator<ChangedRows> {
  const columns = definition.columns.map((column) => `t.${quote(column)}`).join(', ')
  const table = definition.table.split('.').map(quote).join('.')
  // xmin has 32 bits; ages compare across the wrap-around: negative is what was frozen more than 2^31 transactions ago.
  const query = sql.unsafe(
    `select pg_current_wal_lsn()::text, t.ctid::text, ${columns}
     from ${table} as t, (select age($1::text::xid8::xid) as age) as horizon
     where age(t.xmin) between 0 and 2147483646 and (age(t.xmin) <= horizon.age or horizon.age < 0)`,
    [horizon.toString()],
  )
  let described: readonly ColumnShape[] | undefined
  for await (const chunk of query.raw().cursor(ROWS_AT_ONCE)) {
    // Only the first chunk says what its columns are: the server describes a query once.
    described ??= (chunk as unknown as { columns?: readonly ColumnShape[] }).columns
    if (!described) throw new TrackOpsError('POSTGRES_PROTOCOL', `the rows of ${definition.table} came undescribed`)
    const rows = chunk as unknown as readonly (readonly (Buffer | null)[])[]
    yield { columns: described, texts: rows.map((row) => row.map((cell) => cell?.toString('utf8') ?? null)) }
  }
}

function foundRow(
  types: TypeCatalog,
  columns: readonly ColumnShape[],
  texts: readonly (string | null)[],
): RowChangeView {
  const after: Record<string, Row[string]> = {}
  for (const [index, { name, type }] of columns.entries()) {
    if (index >= OWN_COLUMNS) after[name] = valueOf(types.get(type), texts[index] ?? null)
  }
  const source = { lsn: texts[0] ?? '0/0', txId: 0, commitTime: new Date().toISOString() }
  return { op: 'r', before: null, after, source }
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
