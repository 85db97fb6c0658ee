import { createPlanner } from '../../cache/plan.ts'
import { type CacheProtocol, createCacheProtocol } from '../../cache/protocol.ts'
import { createTableRelations } from '../../capture/table-relations.ts'
import { createChangeDecoder } from '../../change/debezium/decode/change-of-envelope.ts'
import type { History } from '../../change/change-event.ts'
import { toLsn } from '../../change/lsn.ts'
import { createCacheConsumer } from '../../consume/cache-consumer.ts'
import { createOrderEventConsumer } from '../../consume/order-event-consumer.ts'
import type { UnreadableRecord } from '../../consume/partition-source.ts'
import { formatStoredPosition } from '../../consume/stored-position.ts'
import { CONSUMER_GROUPS, type ConsumerName } from '../../consume/stream-consumer.ts'
import { createTopicEventStore, placeOf } from '../../consume/topic-event-store.ts'
import { type DeadLetter, insertDeadLetters } from '../../log/dead-letters.ts'
import type { KafkaClients } from '../../log/kafka/kafka-clients.ts'
import type { OwnPartition } from '../../log/kafka/partition-group.ts'
import { committedOffsets } from '../../log/kafka/topic-offsets.ts'
import { connectRedis, createRedisClient } from '../redis-client.ts'
import type { StartedStream, StreamParts } from '../start-stream.ts'
import { changeTopics, connectorModes, tablesOfViews } from './change-topics.ts'
import type { DeadLetterTopics } from './dead-letter-topics.ts'
import { createLogProgress } from './log-progress.ts'
import { createPartitionConsumers, type OpenedConsumer, type PartitionConsumers } from './partition-consumers.ts'
import { createSharedForget } from './shared-forget.ts'
import { createEventHorizon, recoverMissedEvents, storeFirstHorizon } from './missed-events.ts'
import { createSharedHistory, type SharedHistory } from './shared-history.ts'
import { topicStreamsStatus } from './topic-streams-status.ts'

export interface TopicStreamParts extends StreamParts {
  readonly clients: KafkaClients
  readonly deadLetterTopics: DeadLetterTopics
  readonly roles: readonly ConsumerName[]
}

/** Distributed: each consumer is a group of its own, on the connector's topics. */
export async function startTopicStreams(parts: TopicStreamParts): Promise<StartedStream> {
  const { log, clients, config, urls, source, views, roles } = parts
  const redis = createRedisClient(urls.redis, { name: 'trackops-consumers', log, tls: urls.redisTls })
  await connectRedis(redis, urls.redis)
  const shared = {
    clients,
    log,
    history: createSharedHistory(source),
    relations: createTableRelations(source),
    decoder: createChangeDecoder(connectorModes(config, urls.source)),
  }
  const planner = createPlanner(views)
  const protocolOf = (partition?: string): CacheProtocol =>
    createCacheProtocol({ redis, log }, { views, ...(partition === undefined ? {} : { partition }) })
  const whole = protocolOf()
  await whole.load()
  const forget = createSharedForget((names, options) => whole.forget(names, options))
  const definitions = config.events ?? []
  const topicsOf = (tables: readonly string[]): readonly string[] =>
    changeTopics(config, tables).map(({ topic }) => topic)

  async function announce(partition: OwnPartition, letters: readonly DeadLetter[]): Promise<void> {
    for (const letter of letters) await parts.deadLetterTopics.publish(partition.topic, letter)
  }

  async function setAside(partition: OwnPartition, letters: readonly DeadLetter[]): Promise<void> {
    await insertDeadLetters(source, letters)
    await announce(partition, letters)
  }

  /** Which keys it meant cannot be known: of the views that its table feeds none is left as it was. */
  async function forgetFor(partition: OwnPartition, record: UnreadableRecord, consumer: string): Promise<void> {
    const { offset, table, error } = record
    log.error({ partition: partition.name, offset: offset.toString(), error: error.message }, 'record set aside')
    await setAside(partition, [unreadableLetter(record, partition, consumer)])
    const names = views.all.filter(({ view }) => table === null || tablesOfViews([view]).includes(table))
    await forget(names.map(({ name }) => name))
  }

  const openCache =
    (role: 'cache-invalidator' | 'cache-warmer') =>
    async (partition: OwnPartition): Promise<OpenedConsumer> => {
      const table = changeTopics(config, tablesOfViews(config.views)).find(
        ({ topic }) => topic === partition.topic,
      )?.table
      const fed = views.all.filter(({ view }) => table !== undefined && tablesOfViews([view]).includes(table))
      const protocol = protocolOf(partition.name)
      const consumer = createCacheConsumer(
        {
          role,
          protocol: { ...protocol, forget },
          planner,
          viewNames: fed.map(({ name }) => name),
          log: log.child({ partition: partition.name }),
          refill: (keys, signal) => parts.cache.refill(keys, signal),
          setAside: (letters) =>
            setAside(
              partition,
              letters.map((letter) => ({ ...letter, position: placeOf(partition, letter.position) })),
            ),
          onOperations: (operations) => parts.recent.note(operations),
          onApplied({ commitTimeMicros }) {
            if (commitTimeMicros !== null)
              parts.metrics.commitToCache(Date.now() / 1e3 - Number(commitTimeMicros) / 1e6)
          },
        },
        { isPartition: true },
      )
      return { consumer, close: async () => protocol.close() }
    }

  async function openEvents(partition: OwnPartition, history: History): Promise<OpenedConsumer> {
    const store = createTopicEventStore({
      sql: source,
      openProducer: () => clients.producer(`trackops-order-event-consumer-${partition.name}`),
      partition,
      consumer: 'order-event-consumer',
      format: (offset) => formatStoredPosition(history, { commitLsn: toLsn(offset), ordinal: 0 }),
      onSetAside: (letters) => announce(partition, letters),
    })
    // A commit of an offset costs next to nothing, and nothing else would come by to make it later.
    const consumer = createOrderEventConsumer(
      { store, log: log.child({ partition: partition.name }), definitions, recoverMissed: async () => undefined },
      { idleStoreMs: 0 },
    )
    return { consumer, commitsOffsets: true, close: () => store.close() }
  }

  const recovery = { sql: source, log, clients }
  const consumers: PartitionConsumers[] = roles.flatMap((name) => {
    const isEvents = name === 'order-event-consumer'
    if (isEvents && definitions.length === 0) return []
    return createPartitionConsumers(
      {
        ...shared,
        open: isEvents ? openEvents : openCache(name),
        ...(isEvents
          ? { onSnapshot: (point, signal) => recoverMissedEvents(recovery, definitions, point, signal) }
          : {}),
        onUnreadable: (partition, record) =>
          isEvents
            ? setAside(partition, [unreadableLetter(record, partition, name)])
            : forgetFor(partition, record, name),
      },
      {
        name,
        topics: topicsOf(isEvents ? definitions.map(({ table }) => table) : tablesOfViews(config.views)),
      },
    )
  })
  const horizon = roles.includes('order-event-consumer') ? await watchHorizon(parts, shared.history) : null
  const stopping = new AbortController()
  const running = Promise.all(consumers.map((consumer) => consumer.run(stopping.signal))).then(() => undefined)
  running.catch(() => stopping.abort())
  return {
    pipeline: { status: () => topicStreamsStatus(consumers) },
    running,
    async stop() {
      stopping.abort()
      await running.catch(() => undefined)
      await horizon?.stop()
      whole.close()
      redis.destroy()
    },
  }
}

const HORIZON_EVERY_MS = 5_000

/** Of the events' group: what it has committed, against where its topics end. */
async function watchHorizon(
  { clients, config, source, log }: TopicStreamParts,
  history: SharedHistory,
): Promise<{ stop(): Promise<void> }> {
  await storeFirstHorizon(source)
  const admin = clients.admin()
  const tables = (config.events ?? []).map(({ table }) => table)
  const progress = createLogProgress(
    {
      admin,
      sql: source,
      positions: async () => [await committedOffsets(admin, CONSUMER_GROUPS['order-event-consumer'])],
    },
    { slot: config.source.slot, topics: changeTopics(config, tables).map(({ topic }) => topic) },
  )
  const horizon = createEventHorizon({
    sql: source,
    log,
    progress,
    visibility: async () => (await history.current()).visibility,
  })
  const timer = setInterval(() => void horizon.look(), HORIZON_EVERY_MS)
  return {
    async stop() {
      clearInterval(timer)
      await admin.close().catch(() => undefined)
    },
  }
}

function unreadableLetter(record: UnreadableRecord, partition: OwnPartition, consumer: string): DeadLetter {
  return {
    consumer,
    source: record.table ?? partition.topic,
    position: `${partition.name}/${record.offset}`,
    subject: { kind: 'row', topic: partition.topic, table: record.table ?? '', change: null },
    errorCode: record.error.code,
    errorMessage: record.error.message,
    attempts: 1,
  }
}
