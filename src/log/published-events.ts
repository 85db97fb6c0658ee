import type { Sql, TransactionSql } from 'postgres'

import type { DomainEvent } from './domain-event.ts'

/** An event with the record that it was derived from. */
export interface ClaimedEvent extends DomainEvent {
  readonly recordOffset: bigint
}

/**
 * Notes events before they go to a topic, each under the record that it comes from; one that is noted stays as it is: the first
 * publication counts. Kafka's transaction makes publishing and the offset one thing; this makes a record that was delivered to the topic
 * twice one event.
 */
export async function claimEvents(
  tx: TransactionSql | Sql,
  partition: string,
  events: readonly ClaimedEvent[],
): Promise<number> {
  if (events.length === 0) return 0
  const claimed = await tx`
    insert into trackops.published_events (event_id, partition, record_offset, topic, key, payload)
    select event_id, ${partition}, record_offset, topic, key, payload::jsonb
    from unnest(
      ${events.map((event) => event.eventId)}::text[],
      ${events.map((event) => event.recordOffset.toString())}::bigint[],
      ${events.map((event) => event.topic)}::text[],
      ${events.map((event) => event.key)}::text[],
      ${events.map((event) => JSON.stringify(event.payload))}::text[]
    ) as given (event_id, record_offset, topic, key, payload)
    on conflict (event_id) do nothing`
  return claimed.count
}

/** What is yet to be published of the records from `from` on and before `to`, in their order, as it was noted first. */
export async function claimedEvents(
  sql: TransactionSql | Sql,
  partition: string,
  range: { readonly from: bigint; readonly to: bigint },
): Promise<readonly ClaimedEvent[]> {
  const rows = await sql<
    { event_id: string; record_offset: string; topic: string; key: string; payload: DomainEvent['payload'] }[]
  >`
    select event_id, record_offset::text, topic, key, payload from trackops.published_events
    where partition = ${partition} and not is_published
      and record_offset >= ${range.from.toString()}::bigint and record_offset < ${range.to.toString()}::bigint
    order by published_events.record_offset, event_id`
  return rows.map((row) => ({
    eventId: row.event_id,
    recordOffset: BigInt(row.record_offset),
    topic: row.topic,
    key: row.key,
    payload: row.payload,
  }))
}

/** What was noted of these records is on its topic: it is not to be published again, wherever the group's offset is set to. */
export async function markPublished(
  sql: TransactionSql | Sql,
  partition: string,
  range: { readonly from: bigint; readonly to: bigint },
): Promise<void> {
  await sql`
    update trackops.published_events set is_published = true
    where partition = ${partition} and not is_published
      and record_offset >= ${range.from.toString()}::bigint and record_offset < ${range.to.toString()}::bigint`
}

/** What is older than the topics keep their records cannot be delivered again. */
export async function prunePublishedEvents(sql: Sql, retentionSeconds: number): Promise<void> {
  await sql`
    delete from trackops.published_events where created_at < now() - make_interval(secs => ${retentionSeconds})`
}
