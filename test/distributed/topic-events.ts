/** What is on a topic, as a reader of committed records sees it. */
import type { DomainEvent } from '../../src/log/domain-event.ts'
import { fromRecord } from '../../src/log/kafka/event-record.ts'
import type { KafkaRecord } from '../../src/log/kafka/committed-records.ts'
import { createPartitionFetch } from '../../src/log/kafka/partition-fetch.ts'
import { endOffsets } from '../../src/log/kafka/topic-offsets.ts'
import { createKafkaClients, type KafkaConnection } from '../../src/roles/kafka-clients.ts'
import type { DistributedSystem } from '../support/distributed.ts'

export async function recordsOf(kafka: KafkaConnection, topic: string): Promise<readonly KafkaRecord[]> {
  const clients = createKafkaClients(kafka)
  const admin = clients.admin()
  const consumer = clients.consumer('topic-events-test')
  const stop = new AbortController()
  try {
    consumer.topics.track(topic)
    const fetch = createPartitionFetch(consumer)
    const running = fetch.run(stop.signal)
    const records: KafkaRecord[] = []
    for (const [name, end] of await endOffsets(admin, [topic])) {
      if (end === 0n) continue
      const partition = Number(name.slice(topic.length + 1))
      for await (const fetched of fetch.read({ topic, partition }, 0n, stop.signal)) {
        records.push(...fetched.records)
        if (fetched.nextOffset >= end) break
      }
    }
    stop.abort()
    await running
    return records
  } finally {
    stop.abort()
    await consumer.close(true)
    await admin.close()
  }
}

export async function eventsOf(kafka: KafkaConnection, topic: string): Promise<readonly DomainEvent[]> {
  const records = await recordsOf(kafka, topic)
  return records
    .map((record) => fromRecord(topic, String(record.offset), record))
    .filter((event) => event !== undefined)
}

/**
 * For accounts that are kept in SQL: the topic's events go into the table that the embedded mode has for them. Gives the ids that
 * are on the topic more than once.
 */
export async function copyEvents({ sql, stack }: Pick<DistributedSystem, 'sql' | 'stack'>): Promise<readonly string[]> {
  const events = await eventsOf(stack, 'order-events')
  const ids = events.map(({ eventId }) => eventId)
  await sql`truncate trackops.domain_events`
  for (let from = 0; from < events.length; from += 500) {
    const rows = events.slice(from, from + 500)
    await sql`
      insert into trackops.domain_events (event_id, topic, key, payload)
      select event_id, 'order-events', key, payload::jsonb
      from unnest(${rows.map(({ eventId }) => eventId)}::text[], ${rows.map(({ key }) => key)}::text[],
                  ${rows.map(({ payload }) => JSON.stringify(payload))}::text[]) as given (event_id, key, payload)
      on conflict (event_id) do nothing`
  }
  return ids.filter((id, index) => ids.indexOf(id) !== index)
}
