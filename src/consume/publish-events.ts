import type { TransactionSql } from 'postgres'

import { type DeadLetter, insertDeadLetters } from '../log/dead-letters.ts'
import type { DomainEvent } from '../log/domain-event.ts'
import { insertDomainEvents } from '../log/domain-event-table.ts'
import { retryOf } from '../runtime/errors.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'
import { type DerivedEvent, letterFor } from './derive-events.ts'
import type { EventDefinition } from './event-definition.ts'

export interface Published {
  /** How many were new. */
  readonly count: number
  /** What was set aside, in the same transaction. */
  readonly deadLetters: readonly DeadLetter[]
}

export type InsertEvents = (tx: TransactionSql, events: readonly DomainEvent[]) => Promise<number>

/**
 * Enriches and inserts, in the caller's transaction. What fails for good (an `enrich` that throws, a payload that jsonb cannot
 * hold, such as a NUL) is found by publishing one by one, and set aside: it must not hold up those that come with it (L4).
 *
 * `insert` gives how many were new; default: the table of domain events.
 *
 * @throws what can pass: then nothing was written
 */
export async function publishEvents(
  tx: TransactionSql,
  derived: readonly DerivedEvent[],
  consumer: string,
  insert: InsertEvents = insertDomainEvents,
): Promise<Published> {
  const events = firstOfEachId(derived)
  if (events.length === 0) return { count: 0, deadLetters: [] }
  const together = await attempt(tx, events, insert)
  if ('count' in together) return { count: together.count, deadLetters: [] }
  let count = 0
  const deadLetters: DeadLetter[] = []
  for (const one of events) {
    const alone = await attempt(tx, [one], insert)
    if ('count' in alone) count += alone.count
    else deadLetters.push(letterFor(one, consumer, alone.error))
  }
  await insertDeadLetters(tx, deadLetters)
  return { count, deadLetters }
}

/** All or nothing, and the transaction goes on either way. */
async function attempt(
  tx: TransactionSql,
  events: readonly DerivedEvent[],
  insert: InsertEvents,
): Promise<{ readonly count: number } | { readonly error: unknown }> {
  try {
    const count = await tx.savepoint(async (inner) => insert(inner, await enriched(inner, events)))
    return { count }
  } catch (error) {
    if (retryOf(fromPostgres(error, 'publishing domain events')) !== 'never') throw error
    return { error }
  }
}

/** The first publication counts, also where both come at once. */
function firstOfEachId(derived: readonly DerivedEvent[]): readonly DerivedEvent[] {
  const firsts = new Map<string, DerivedEvent>()
  for (const one of derived) if (!firsts.has(one.event.eventId)) firsts.set(one.event.eventId, one)
  return [...firsts.values()]
}

/** Each definition adds to its own events what only the database knows; the order of the events stays. */
async function enriched(tx: TransactionSql, derived: readonly DerivedEvent[]): Promise<readonly DomainEvent[]> {
  const added = new Map<string, DomainEvent>()
  for (const [definition, mine] of Map.groupBy(derived, (one) => one.definition)) {
    for (const event of await enrich(tx, definition, mine)) added.set(event.eventId, event)
  }
  return derived.map(({ event }) => added.get(event.eventId) ?? event)
}

async function enrich(
  tx: TransactionSql,
  definition: EventDefinition,
  mine: readonly DerivedEvent[],
): Promise<readonly DomainEvent[]> {
  if (!definition.enrich) return []
  return await definition.enrich(
    tx,
    mine.map(({ event }) => event),
  )
}
