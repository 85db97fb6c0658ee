import type { Sql, TransactionSql } from 'postgres'

import type { Value } from '../change/value.ts'
import type { DomainEvent } from './domain-event.ts'

/**
 * An event set aside (L4): kept in PostgreSQL, because Redis may lose its last writes. It names what replay needs and
 * holds as little as it can: replay of a cache's dead letter refreshes its keys from the database.
 */
export interface DeadLetter {
  readonly consumer: string
  /** `public.orders`, or a topic. */
  readonly source: string
  /** A stream position, or an event's seq. */
  readonly position: string
  readonly subject: DeadLetterSubject
  readonly errorCode: string
  readonly errorMessage: string
  readonly attempts: number
}

export type DeadLetterSubject =
  /** Cache keys to refresh. */
  | { readonly kind: 'keys'; readonly keys: readonly { readonly view: string; readonly key: string }[] }
  /**
   * A change from which no events could be derived, with the columns that the definition looks at: a deleted row could
   * not be read again. null if the row could not be read.
   */
  | {
      readonly kind: 'row'
      readonly topic: string
      readonly table: string
      readonly change: DerivableChange | null
    }
  /** A domain event that a service could not handle. */
  | { readonly kind: 'event'; readonly event: DomainEvent }

/** What an event definition is given, as JSON holds it. */
export interface DerivableChange {
  readonly op: 'c' | 'u' | 'd' | 'r'
  readonly before: Readonly<Record<string, Value>> | null
  readonly after: Readonly<Record<string, Value>> | null
  readonly source: { readonly lsn: string; readonly txId: number; readonly commitTime: string }
}

export interface StoredDeadLetter extends DeadLetter {
  readonly id: string
  readonly createdAt: string
  readonly replayedAt: string | null
}

/**
 * JSON for a column of type jsonb, which holds neither NUL nor half a surrogate pair: U+FFFD is in their place. What is set aside
 * because it cannot be stored must be storable at least here.
 */
function storable(subject: DeadLetterSubject): string {
  return JSON.stringify(subject).replaceAll(/\\(?:u0000|ud[89a-f][0-9a-f]{2}|.)/g, (escape) =>
    escape.length === 6 ? '\\ufffd' : escape,
  )
}

/** The same event set aside again is the same dead letter, with more attempts. */
export async function insertDeadLetters(sql: Sql | TransactionSql, letters: readonly DeadLetter[]): Promise<void> {
  for (const letter of letters) {
    await sql`
      insert into trackops.dead_letters (consumer, source, position, subject, error_code, error_message, attempts)
      values (${letter.consumer}, ${letter.source}, ${letter.position}, ${storable(letter.subject)}::text::jsonb,
              ${letter.errorCode}, ${letter.errorMessage.slice(0, 1000)}, ${letter.attempts})
      on conflict (consumer, source, position)
      do update set attempts = trackops.dead_letters.attempts + excluded.attempts,
                    replay_requested_at = null, replayed_at = null,
                    error_code = excluded.error_code, error_message = excluded.error_message`
  }
}

export async function listDeadLetters(
  sql: Sql,
  options: { readonly includeReplayed?: boolean; readonly limit?: number } = {},
): Promise<readonly StoredDeadLetter[]> {
  const rows = await sql<DeadLetterRow[]>`
    select id::text, consumer, source, position, subject, error_code, error_message, attempts,
           created_at::text, replayed_at::text
    from trackops.dead_letters as l
    where ${options.includeReplayed ?? false} or replayed_at is null
    order by l.id -- not the text above, in which 10 comes before 9
    limit ${options.limit ?? 1000}`
  return rows.map(fromRow)
}

export async function findDeadLetter(sql: Sql, id: string): Promise<StoredDeadLetter | undefined> {
  const rows = await sql<DeadLetterRow[]>`
    select id::text, consumer, source, position, subject, error_code, error_message, attempts,
           created_at::text, replayed_at::text
    from trackops.dead_letters where id = ${id}::bigint`
  return rows[0] && fromRow(rows[0])
}

export async function markReplayed(sql: Sql, id: string): Promise<void> {
  await sql`update trackops.dead_letters set replayed_at = now() where id = ${id}::bigint`
}

export async function countDeadLetters(sql: Sql): Promise<number> {
  const rows = await sql<{ count: number }[]>`
    select count(*)::int as count from trackops.dead_letters where replayed_at is null`
  return rows[0]?.count ?? 0
}

/** Asks the consumer that set it aside to handle it again: for effects that only the running service can have. */
export async function requestReplay(sql: Sql, id: string): Promise<void> {
  await sql`
    update trackops.dead_letters set replay_requested_at = now(), replayed_at = null where id = ${id}::bigint`
  await sql`select pg_notify('trackops_domain_events', '')`
}

export async function requestedReplays(
  sql: Sql,
  consumer: string,
  source: string,
): Promise<readonly StoredDeadLetter[]> {
  const rows = await sql<DeadLetterRow[]>`
    select id::text, consumer, source, position, subject, error_code, error_message, attempts,
           created_at::text, replayed_at::text
    from trackops.dead_letters as l
    where consumer = ${consumer} and source = ${source} and replay_requested_at is not null and replayed_at is null
    order by l.id
    limit 100`
  return rows.map(fromRow)
}

/** Dead letters that were replayed are kept for the retention, then removed; the others wait for somebody. */
export async function pruneDeadLetters(sql: Sql, retentionSeconds: number): Promise<void> {
  await sql`delete from trackops.dead_letters where replayed_at < now() - make_interval(secs => ${retentionSeconds})`
}

interface DeadLetterRow {
  id: string
  consumer: string
  source: string
  position: string
  subject: DeadLetterSubject
  error_code: string
  error_message: string
  attempts: number
  created_at: string
  replayed_at: string | null
}

function fromRow(row: DeadLetterRow): StoredDeadLetter {
  return {
    id: row.id,
    consumer: row.consumer,
    source: row.source,
    position: row.position,
    subject: row.subject,
    errorCode: row.error_code,
    errorMessage: row.error_message,
    attempts: row.attempts,
    createdAt: row.created_at,
    replayedAt: row.replayed_at,
  }
}
