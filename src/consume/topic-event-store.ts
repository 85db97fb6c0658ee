import type { Producer } from '@platformatic/kafka'
import type { Sql } from 'postgres'

import { parsePosition } from '../change/position.ts'
import { type DeadLetter, insertDeadLetters } from '../log/dead-letters.ts'
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
  /** Called with what was set aside, once it is stored. */
  readonly onSetAside: (letters: readonly DeadLetter[]) => Promise<void>
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
    keepsHorizon: false,

    async read() {
      const offset = await partition.committed()
      return offset === null ? undefined : { position: deps.format(offset), horizon: null }
    },

    async write({ from, to }, derived) {
      const toOffset = positionOf(to).commitLsn
      const fromOffset = from === null ? 0n : positionOf(from).commitLsn
      if (derived.events.length === 0 && derived.deadLetters.length === 0) {
        partition.commit(toOffset)
        return []
      }
      const offsets = new Map(derived.events.map(({ event, position }) => [event.eventId, offsetOf(position)]))
      const events = derived.events.map((event) => ({ ...event, position: placeOf(partition, event.position) }))
      const letters = derived.deadLetters.map((letter) => ({
        ...letter,
        position: placeOf(partition, letter.position),
      }))
      const setAside = await sql.begin(async (tx) => {
        await insertDeadLetters(tx, letters)
        const published = await publishEvents(tx, events, consumer, (inner, noted) =>
          claimEvents(
            inner,
            partition.name,
            noted.map((event) => ({ ...event, recordOffset: offsets.get(event.eventId) ?? fromOffset })),
          ),
        )
        return [...letters, ...published.deadLetters]
      })
      const mine = await claimedEvents(sql, partition.name, { from: fromOffset, to: toOffset })
      if (mine.length === 0) partition.commit(toOffset)
      else await publish(mine, toOffset)
      await deps.onSetAside(setAside)
      return setAside
    },
  }
}

function offsetOf(position: string): bigint {
  return parsePosition(position).commitLsn
}

/** Positions are of one partition only: two of them may be equal in number. */
export function placeOf(partition: Pick<OwnPartition, 'name'>, position: string): string {
  return `${partition.name}/${offsetOf(position)}`
}
