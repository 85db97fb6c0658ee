import type { MessageToProduce } from '@platformatic/kafka'

import type { DomainEvent } from '../domain-event.ts'
import type { KafkaRecord } from './committed-records.ts'

const EVENT_ID = 'event-id'

/** The payload as JSON, keyed as the event is, its id beside it for receivers that keep an inbox. */
export function toRecord(event: DomainEvent): MessageToProduce {
  return {
    topic: event.topic,
    key: Buffer.from(event.key),
    value: Buffer.from(JSON.stringify(event.payload)),
    headers: new Map([[Buffer.from(EVENT_ID), Buffer.from(event.eventId)]]),
  }
}

/**
 * undefined: not a JSON object. A stranger's record has the id that its payload says, or its place: delivered again by Kafka it is
 * the same event.
 */
export function fromRecord(topic: string, place: string, record: KafkaRecord): DomainEvent | undefined {
  const payload = parseObject(record.value)
  if (!payload) return undefined
  const named = record.headers.get(EVENT_ID) ?? payload['eventId']
  const eventId = typeof named === 'string' && named !== '' ? named : place
  return { eventId, topic, key: record.key?.toString('utf8') ?? '', payload }
}

function parseObject(value: Buffer | null): DomainEvent['payload'] | undefined {
  if (value === null) return undefined
  try {
    const parsed: unknown = JSON.parse(value.toString('utf8'))
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
    return isObject ? (parsed as DomainEvent['payload']) : undefined
  } catch {
    return undefined
  }
}
