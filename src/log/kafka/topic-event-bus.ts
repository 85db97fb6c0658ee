import type { Sql } from 'postgres'

import { backoffDelayMs, pause } from '../../runtime/backoff.ts'
import type { Logger } from '../../runtime/logger.ts'
import { fromPostgres } from '../../runtime/postgres-errors.ts'
import { createTurns, type Turns } from '../../runtime/turns.ts'
import type { DeadLetter } from '../dead-letters.ts'
import type { ConsumeOptions, DomainEventBus } from '../domain-event.ts'
import { codeOf, createEventHandling, type EventHandling, type LoggedEvent, safeMessage } from '../event-handling.ts'
import { readInboxPosition } from '../inbox.ts'
import { OUTBOX_CHANNEL, relayOutbox } from '../outbox.ts'
import { repeatStep } from '../repeat-step.ts'
import type { KafkaRecord } from './committed-records.ts'
import { fromRecord, toRecord } from './event-record.ts'
import type { KafkaClients } from './kafka-clients.ts'
import { toKafkaError } from './kafka-error.ts'
import { createPartitionGroup, type OwnPartition } from './partition-group.ts'
import { ensureTopic } from './topics.ts'

export interface TopicEventBusDeps {
  readonly clients: KafkaClients
  /** The database with the dead letters. */
  readonly sql: Sql
  readonly log: Logger
  readonly onSetAside: (letter: DeadLetter) => Promise<void>
}

/** Of a topic that is not there yet: how many processes of one receiver can share it. */
const EVENT_PARTITIONS = 12
const BATCH_SIZE = 100
const POLL_MS = 1000
const MAX_ATTEMPTS = 5
const RETENTION_SECONDS = 14 * 86_400

/**
 * Domain events in distributed mode: topics, read as committed. Each effect is in one transaction with its inbox row and with the
 * position in its partition, in the receiver's database, which is where a partition is read on from.
 */
export function createTopicEventBus(deps: TopicEventBusDeps): DomainEventBus {
  const { clients, sql } = deps
  const handling = createEventHandling(deps, { maxAttempts: MAX_ATTEMPTS, retentionSeconds: RETENTION_SECONDS })

  return {
    async consume(consumer) {
      const { topic, store, signal } = consumer
      const log = deps.log.child({ consumer: consumer.consumer, topic })
      await patiently(log, signal, () => ensureTopic(clients, topic, EVENT_PARTITIONS))
      const group = createPartitionGroup({ clients, log }, { groupId: consumer.consumer, topics: [topic] })
      // Partitions of one receiver write the same rows: one after the other they need not wait for each other in circles.
      const inTurn = createTurns()
      const replaying = repeatStep(
        { sql, log },
        { channel: 'trackops_domain_events', pollMs: POLL_MS, signal },
        async () => {
          await handling.prepare(store)
          await handling.replayRequested(consumer)
          return 0
        },
      )
      await Promise.all([
        replaying,
        group.run(
          (partition, leave) => patiently(log, leave, () => serve({ ...handling, inTurn }, partition, consumer, leave)),
          signal,
        ),
      ])
    },

    async relay({ store, signal }) {
      const log = deps.log.child({ relay: 'outbox' })
      const producer = clients.producer()
      try {
        await repeatStep({ sql: store, log }, { channel: OUTBOX_CHANNEL, pollMs: POLL_MS, signal }, async () => {
          await handling.prepare(store)
          return await relayOutbox(
            store,
            async (events) => {
              await producer.send({ messages: events.map(toRecord) }).catch((error: unknown) => {
                throw toKafkaError(error, 'publishing domain events')
              })
            },
            BATCH_SIZE,
          )
        })
      } finally {
        await producer.close().catch(() => undefined)
      }
    },
  }
}

/** A database that is down is waited out, as a member of the group: others would do no better. */
async function patiently(log: Logger, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      await work()
      return
    } catch (error) {
      const known = fromPostgres(error, 'handling domain events')
      const waitMs = backoffDelayMs(failures)
      log.warn({ waitMs, error: safeMessage(known), code: codeOf(known) }, 'domain events wait')
      await pause(waitMs, signal)
    }
  }
}

async function serve(
  handling: EventHandling & { readonly inTurn: Turns },
  partition: OwnPartition,
  consumer: ConsumeOptions,
  signal: AbortSignal,
): Promise<void> {
  const { store } = consumer
  await handling.prepare(store)
  // A topic that was made anew has offsets of its own. The inbox keeps what was handled from being handled again.
  const log = `${partition.name}/${partition.topicId}`
  const stored = await readInboxPosition(store, consumer.consumer, log)
  const { start, end } = await partition.bounds()
  const from = stored < start || stored > end ? start : stored
  const own = { ...consumer, signal }
  for await (const { records, nextOffset } of partition.read(from, signal)) {
    const events = records.flatMap((record) => eventOf(partition, record))
    for (let at = 0; at < events.length || at === 0; at += BATCH_SIZE) {
      if (signal.aborted) return
      const batch = events.slice(at, at + BATCH_SIZE)
      const isLast = at + BATCH_SIZE >= events.length
      const to = isLast ? nextOffset : (batch.at(-1)?.seq ?? nextOffset)
      await handling.inTurn(() => handling.handle(batch, log, to, own))
    }
    partition.commit(nextOffset)
  }
}

/** What is not an event of ours is passed by: topics are open to others. */
function eventOf({ topic, partition }: OwnPartition, record: KafkaRecord): readonly LoggedEvent[] {
  const place = `${topic}-${partition}/${record.offset}`
  const event = fromRecord(topic, place, record)
  return event ? [{ ...event, seq: record.offset + 1n, place }] : []
}
