import type { Producer } from '@platformatic/kafka'
import type { Sql } from 'postgres'

import { parsePosition } from '../change/position.ts'
import { insertDeadLetters } from '../log/dead-letters.ts'
import { toRecord } from '../log/kafka/event-record.ts'
import { toKafkaError } from '../log/kafka/kafka-error.ts'
import type { OwnPartition } from '../log/kafka/partition-group.ts'
import type { DomainEvent } from '../log/domain-event.ts'
import { claimedEvents, claimEvents } from '../log/published-events.ts'
import type { EventStore } from './event-store.ts'
import { publishEvents } from './publish-events.ts'
import { positionOf } from './stored-position.ts'

export interface TopicEventStoreDeps {
  readonly sql: Sql
  /** Of this partition alone, with its transactional id: the next owner's ends what this one has left open. */
  readonly producer: Producer
  readonly partition: Pick<OwnPartition, 'name' | 'committed' | 'commit' | 'commitWithin'>
  /** The stored form of an offset. */
  readonly format: (offset: bigint) => string
  readonly consumer: string
}

/**
 * On Kafka: events and the offset behind the record that they come from are one transaction (KIP-447), so a consumer that is
 * killed in between publishes them once. What they hold is noted in PostgreSQL first: a record that the connector delivered twice is
 * one event, and the first publication counts.
 */
export function createTopicEventStore(deps: TopicEventStoreDeps): EventStore {
  const { sql, producer, partition, consumer } = deps

  async function publish(events: readonly DomainEvent[], to: bigint): Promise<void> {
    try {
      const transaction = await producer.beginTransaction()
      try {
        await transaction.send({ messages: events.map(toRecord) })
        await partition.commitWithin(transaction, to)
        await transaction.commit()
      } catch (error) {
        // Its end may be unknown: the next pass begins with a new producer, which settles that, and asks what was committed.
        await transaction.abort().catch(() => undefined)
        throw error
      }
    } catch (error) {
      throw toKafkaError(error, `publishing events of ${partition.name}`)
    }
  }

  return {
    async read() {
      const offset = await partition.committed()
      return offset === null ? undefined : { position: deps.format(offset), horizon: null }
    },

    async write({ from, to }, { events, deadLetters }) {
      const toOffset = offsetOf(to)
      const fromOffset = from === null ? 0n : offsetOf(from)
      if (events.length === 0 && deadLetters.length === 0) {
        partition.commit(toOffset)
        return []
      }
      const recordOffsets = new Map(
        events.map(({ event, position }) => [event.eventId, parsePosition(position).commitLsn]),
      )
      const setAside = await sql.begin(async (tx) => {
        await insertDeadLetters(tx, deadLetters)
        const published = await publishEvents(tx, events, consumer, (inner, noted) =>
          claimEvents(
            inner,
            partition.name,
            noted.map((event) => ({ ...event, recordOffset: recordOffsets.get(event.eventId) ?? fromOffset })),
          ),
        )
        return [...deadLetters, ...published.deadLetters]
      })
      const mine = await claimedEvents(sql, partition.name, { from: fromOffset, to: toOffset })
      if (mine.length === 0) partition.commit(toOffset)
      else await publish(mine, toOffset)
      return setAside
    },
  }
}

function offsetOf(stored: string): bigint {
  return positionOf(stored).commitLsn
}
