import type { Sql, TransactionSql } from 'postgres'

import type { DomainEvent } from './domain-event.ts'

/** An event as the table holds it. `seq` rises in the order in which events became visible. */
export interface StoredEvent extends DomainEvent {
  readonly seq: bigint
}

/** Events that were published before are left as they are: the first publication counts. Returns how many were new. */
export async function insertDomainEvents(tx: TransactionSql | Sql, events: readonly DomainEvent[]): Promise<number> {
  if (events.length === 0) return 0
  // JSON arrays rather than PostgreSQL's, which the driver escapes a character at a time; JSON has no line feed in it.
  const texts = (of: (event: DomainEvent) => string): string => JSON.stringify(events.map(of))
  const inserted = await tx`
    insert into trackops.domain_events (event_id, topic, key, payload)
    select event_id, topic, key, payload::jsonb
    from rows from (
      jsonb_array_elements_text(${texts((event) => event.eventId)}::text::jsonb),
      jsonb_array_elements_text(${texts((event) => event.topic)}::text::jsonb),
      jsonb_array_elements_text(${texts((event) => event.key)}::text::jsonb),
      string_to_table(${events.map((event) => JSON.stringify(event.payload)).join('\n')}, E'\\n')
    ) with ordinality as given (event_id, topic, key, payload, nr)
    order by nr
    on conflict (event_id) do nothing`
  return inserted.count
}

/** The events of a topic behind `afterSeq`, in order. */
export async function readDomainEvents(
  sql: Sql,
  options: { readonly topic: string; readonly afterSeq: bigint; readonly limit: number },
): Promise<readonly StoredEvent[]> {
  const rows = await sql<
    { seq: string; event_id: string; topic: string; key: string; payload: DomainEvent['payload'] }[]
  >`
    select seq::text, event_id, topic, key, payload
    from trackops.domain_events as e
    where topic = ${options.topic} and seq > ${options.afterSeq.toString()}::bigint
    order by e.seq -- not the text above, in which 10 comes before 9
    limit ${options.limit}`
  return rows.map((row) => ({
    seq: BigInt(row.seq),
    eventId: row.event_id,
    topic: row.topic,
    key: row.key,
    payload: row.payload,
  }))
}

/**
 * Numbers go on behind all that a table of another past can have given: of a database that was put back to an older copy, whose readers
 * (in other databases) stand behind numbers that it gives once more, and would never look at them again. So they go on at the time
 * of day: fewer than a million events a second keep behind it.
 */
export async function skipSequenceNumbers(sql: Sql): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`set local synchronous_commit = local`
    // With the writers of events, who draw their numbers under this lock.
    await tx`select pg_advisory_xact_lock(7310579, 1)`
    await tx`
      select setval(sequence, greatest(nextval(sequence), (extract(epoch from clock_timestamp())::bigint << 20)))
        from (select pg_get_serial_sequence('trackops.domain_events', 'seq')::regclass as sequence) as of`
  })
}

/** Removes events older than the retention. Readers that are further behind than that have lost them: watch their lag. */
export async function pruneDomainEvents(sql: Sql, retentionSeconds: number): Promise<number> {
  const removed = await sql`
    delete from trackops.domain_events where created_at < now() - make_interval(secs => ${retentionSeconds})`
  return removed.count
}
