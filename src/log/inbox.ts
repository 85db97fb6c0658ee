import type { Sql, TransactionSql } from 'postgres'

/**
 * The receiver's half of "once": what was handled, and how far the topic was read, in the same transaction as the effect.
 * The position alone would do while one table is read in order; the inbox also holds when an event arrives again by
 * another way: a replayed dead letter, another log, a position that was set back.
 */
export const INBOX_DDL = `
  create table if not exists trackops_inbox (
    consumer text not null,
    event_id text not null,
    handled_at timestamptz not null default now(),
    primary key (consumer, event_id)
  );
  create index if not exists trackops_inbox_by_age on trackops_inbox (handled_at);
  create table if not exists trackops_inbox_position (
    consumer text not null,
    topic text not null,
    seq bigint not null,
    primary key (consumer, topic)
  );`

export async function readInboxPosition(store: Sql, consumer: string, topic: string): Promise<bigint> {
  const rows = await store<{ seq: string }[]>`
    select seq::text from trackops_inbox_position where consumer = ${consumer} and topic = ${topic}`
  return BigInt(rows[0]?.seq ?? 0)
}

/** True if this event was not handled before; from now on, within this transaction, it is. */
export async function claimEvent(tx: TransactionSql, consumer: string, eventId: string): Promise<boolean> {
  const claimed = await tx`
    insert into trackops_inbox (consumer, event_id) values (${consumer}, ${eventId}) on conflict do nothing`
  return claimed.count === 1
}

/** Never moves back. */
export async function moveInboxPosition(
  tx: TransactionSql | Sql,
  consumer: string,
  topic: string,
  seq: bigint,
): Promise<void> {
  await tx`
    insert into trackops_inbox_position (consumer, topic, seq)
    values (${consumer}, ${topic}, ${seq.toString()}::bigint)
    on conflict (consumer, topic) do update set seq = greatest(trackops_inbox_position.seq, excluded.seq)`
}

export async function pruneInbox(store: Sql, retentionSeconds: number): Promise<void> {
  await store`delete from trackops_inbox where handled_at < now() - make_interval(secs => ${retentionSeconds})`
}
