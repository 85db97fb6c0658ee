import type { Sql } from 'postgres'

import { createTypeCatalog } from '../cache/type-catalog.ts'
import type { Row } from '../cache/view.ts'
import { valueOf } from '../change/value.ts'
import type { DomainEvent } from '../log/domain-event.ts'
import { insertDomainEvents } from '../log/domain-event-table.ts'
import type { Logger } from '../runtime/logger.ts'
import type { EventDefinition } from './event-definition.ts'

const ROWS_AT_ONCE = 500

/**
 * After a slot was lost, changes have happened that nobody will ever deliver. Which rows they touched can still be told: those
 * written by a transaction at or beyond the consumer's horizon. Each definition says which events such a row must have had; those
 * that were published are not published again, as their ids are known.
 *
 * What cannot be told is a row that was deleted meanwhile: docs/guarantees.md says so.
 */
export async function publishMissedEvents(
  deps: { readonly sql: Sql; readonly log: Logger },
  definitions: readonly EventDefinition[],
  horizon: bigint,
  signal: AbortSignal,
): Promise<number> {
  const types = createTypeCatalog(deps.sql)
  let published = 0
  for (const definition of definitions) {
    const columns = definition.columns.map((column) => `t.${quote(column)}`).join(', ')
    const table = definition.table.split('.').map(quote).join('.')
    // xmin has 32 bits; ages compare across the wrap-around. A frozen row is old, whatever its xmin says.
    const query = deps.sql.unsafe(
      `select pg_current_wal_lsn()::text, ${columns} from ${table} as t
       where age(t.xmin) <= age($1::text::xid8::xid) and age(t.xmin) < 2147483647`,
      [horizon.toString()],
    )
    const cursor = query.raw().cursor(ROWS_AT_ONCE)
    for await (const rows of cursor) {
      signal.throwIfAborted()
      const described = (rows as unknown as { columns?: readonly { name: string; type: number }[] }).columns
      const shape = (described ?? []).slice(1)
      await types.load(shape.map(({ type }) => type))
      const events: DomainEvent[] = []
      for (const raw of rows as unknown as readonly (readonly (Buffer | null)[])[]) {
        const after: Record<string, Row[string]> = {}
        for (const [index, { name, type }] of shape.entries()) {
          after[name] = valueOf(types.get(type), raw[index + 1]?.toString('utf8') ?? null)
        }
        const source = { lsn: raw[0]?.toString('utf8') ?? '0/0', txId: 0, commitTime: new Date().toISOString() }
        events.push(...definition.derive({ op: 'r', before: null, after, source }))
      }
      if (events.length === 0) continue
      published += await deps.sql.begin(async (tx) => {
        const enriched = definition.enrich ? await definition.enrich(tx, events) : events
        return await insertDomainEvents(tx, enriched)
      })
    }
  }
  if (published > 0) deps.log.warn({ published }, 'events of rows that changed unseen were published')
  return published
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
