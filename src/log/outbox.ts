import type { Sql, TransactionSql } from 'postgres'

import type { DomainEvent } from './domain-event.ts'

/**
 * A service that works in one database and announces in another cannot do both in one transaction. It writes what it has
 * to announce beside its effect, and a relay carries that over, as often as it takes: the event's id makes a
 * repetition harmless.
 */
export const OUTBOX_DDL = `
  create table if not exists trackops_outbox (
    seq bigint generated always as identity primary key,
    event_id text not null unique,
    topic text not null,
    key text not null,
    payload jsonb not null,
    created_at timestamptz not null default now(),
    published_at timestamptz
  );
  create index if not exists trackops_outbox_waiting on trackops_outbox (seq) where published_at is null;`

export const OUTBOX_CHANNEL = 'trackops_outbox'

/** Within the service's own transaction: the events are announced if, and only if, it commits. */
export async function enqueue(tx: TransactionSql, events: readonly DomainEvent[]): Promise<void> {
  if (events.length === 0) return
  for (const event of events) {
    await tx`
      insert into trackops_outbox (event_id, topic, key, payload)
      values (${event.eventId}, ${event.topic}, ${event.key}, ${JSON.stringify(event.payload)}::text::jsonb)
      on conflict (event_id) do nothing`
  }
  await tx`select pg_notify(${OUTBOX_CHANNEL}, '')`
}

/**
 * Carries over what waits, in order: by one relay at a time, as a second one would carry what comes later sooner. It goes by `published_at`, not by seq, so that a transaction that commits late is not
 * stepped over. Returns how many were carried.
 */
export async function relayOutbox(
  store: Sql,
  publish: (events: readonly DomainEvent[]) => Promise<unknown>,
  limit: number,
): Promise<number> {
  return await store.begin(async (tx) => {
    const [turn] = await tx<{ is_mine: boolean }[]>`select pg_try_advisory_xact_lock(7310579, 3) as is_mine`
    if (!turn?.is_mine) return 0
    const waiting = await tx<
      { seq: string; event_id: string; topic: string; key: string; payload: DomainEvent['payload'] }[]
    >`
      select seq::text, event_id, topic, key, payload
      from trackops_outbox as o
      where published_at is null
      order by o.seq -- not the text above, in which 10 comes before 9
      limit ${limit}`
    if (waiting.length === 0) return 0
    await publish(
      waiting.map((row) => ({ eventId: row.event_id, topic: row.topic, key: row.key, payload: row.payload })),
    )
    await tx`
      update trackops_outbox set published_at = now() where seq = any (${waiting.map((row) => row.seq)}::bigint[])`
    return waiting.length
  })
}

export async function pruneOutbox(store: Sql, retentionSeconds: number): Promise<void> {
  await store`
    delete from trackops_outbox where published_at < now() - make_interval(secs => ${retentionSeconds})`
}
