import type { Producer } from '@platformatic/kafka'
import type { Sql } from 'postgres'

import { parsePosition, type Position } from '../change/position.ts'
import { type DeadLetter, insertDeadLetters } from '../log/dead-letters.ts'
import { toRecord } from '../log/kafka/event-record.ts'
import { toKafkaError } from '../log/kafka/kafka-error.ts'
import type { OwnPartition } from '../log/kafka/partition-group.ts'
import { claimedEvents, claimEvents, markPublished } from '../log/published-events.ts'
import type { EventStore } from './event-store.ts'
import { publishEvents } from './publish-events.ts'
import { positionOf } from './stored-position.ts'

export interface TopicEventStoreDeps {
  readonly sql: Sql
  /** With a transactional id of this partition alone: each producer of it ends what those before have left open. */
  readonly openProducer: () => Producer
  readonly partition: Pick<OwnPartition, 'name' | 'committed' | 'commit' | 'commitWithin'>
  /** The stored form of an offset. */
  readonly format: (offset: bigint) => string
  readonly consumer: string
  /** Called with what was set aside, once it is stored. */
  readonly onSetAside: (letters: readonly DeadLetter[]) => Promise<void>
}

export interface TopicEventStore extends EventStore {
  close(): Promise<void>
}

/**
 * On Kafka: events and the offset behind the record that they come from are one transaction (KIP-447), so a consumer that is
 * killed in between publishes them once. What they hold is noted in PostgreSQL first: a record that the connector delivered twice is
 * one event, and the first publication counts.
 */
export function createTopicEventStore(deps: TopicEventStoreDeps): TopicEventStore {
  const { sql, partition, consumer } = deps
  let producer: Producer | undefined
  /** Nobody knows how the last transaction ended: ours, or that of whoever had the partition before. */
  let isInDoubt = true

  async function closeProducer(): Promise<void> {
    const closing = producer
    producer = undefined
    await closing?.close(true).catch(() => undefined)
  }

  /** What is noted of these records goes to its topics together with the offset behind them. */
  async function publish(from: bigint, to: bigint): Promise<void> {
    const noted = await claimedEvents(sql, partition.name, { from, to })
    if (noted.length === 0) {
      partition.commit(to)
      return
    }
    try {
      producer ??= deps.openProducer()
      // The first transaction of a producer settles those before it: from here on what is committed is known.
      const transaction = await producer.beginTransaction(WHOEVER_CAME_BEFORE)
      const committed = isInDoubt ? await partition.committed() : null
      const events = committed === null ? noted : noted.filter(({ recordOffset }) => recordOffset >= committed)
      // Who had the partition before may have ended between a transaction and its marks: all below our offset is published by then.
      const unmarkedFrom = isInDoubt ? 0n : from
      isInDoubt = true
      if (events.length > 0) {
        await transaction.send({ messages: events.map(toRecord) })
        await partition.commitWithin(transaction, to)
        await transaction.commit()
      } else {
        await closeProducer()
        partition.commit(to)
      }
      await markPublished(sql, partition.name, { from: unmarkedFrom, to })
      isInDoubt = false
    } catch (error) {
      await closeProducer()
      throw toKafkaError(error, `publishing events of ${partition.name}`)
    }
  }

  return {
    keepsHorizon: false,

    // Offsets are the topic's own.
    beginHistory: async () => undefined,

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
      await publish(fromOffset, toOffset)
      await deps.onSetAside(setAside)
      return setAside
    },

    close: closeProducer,
  }
}

/** Without it `@platformatic/kafka` 2.12.1 claims to be producer 0, and is fenced off by any transaction that was before it. */
const WHOEVER_CAME_BEFORE = { producerId: -1n, producerEpoch: -1 }

function offsetOf(position: string | Position): bigint {
  return typeof position === 'string' ? parsePosition(position).commitLsn : position.commitLsn
}

/** Positions are of one partition only: two of them may be equal in number. */
export function placeOf(partition: Pick<OwnPartition, 'name'>, position: string | Position): string {
  return `${partition.name}/${offsetOf(position)}`
}
