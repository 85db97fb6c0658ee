/** What differs between the modes: where changes come from, where domain events go, and by what positions a reader trusts Redis. */
import type { Sql } from 'postgres'

import type { CompiledViews } from '../cache/compiled-view.ts'
import type { ConsumerName } from '../consume/stream-consumer.ts'
import type { DomainEventBus } from '../log/domain-event.ts'
import { createTopicEventBus } from '../log/kafka/topic-event-bus.ts'
import { createTableEventBus } from '../log/table-event-bus.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import type { RecentKeys } from '../verify/watch/key-sources.ts'
import { createAppliedPosition } from './applied-position.ts'
import type { ServerUrls } from './connections.ts'
import type { TrackOpsConfig } from './define-config.ts'
import { createDeadLetterTopics } from './distributed/dead-letter-topics.ts'
import { followPartitions } from './distributed/follow-partitions.ts'
import { startTopicStreams } from './distributed/start-topic-streams.ts'
import { createKafkaClients, type KafkaConnection } from './kafka-clients.ts'
import type { Metrics } from './metrics.ts'
import type { Pipeline } from './pipeline.ts'
import type { RedisClient } from './redis-client.ts'
import { type StartedStream, startStream } from './start-stream.ts'
import { openSystemCache, type SystemCache } from './system-cache.ts'

export interface Wiring {
  readonly cache: SystemCache
  readonly events: DomainEventBus
  /** Starts the consumers. */
  start(): Promise<StartedStream>
  close(): Promise<void>
}

interface WiringParts {
  readonly log: Logger
  readonly config: TrackOpsConfig
  readonly urls: ServerUrls
  /** Pool of the stream's and the cache's own. */
  readonly source: Sql
  readonly views: CompiledViews
  readonly metrics: Metrics
  readonly recent: RecentKeys
  readonly redis: RedisClient
}

/** Embedded: the slot, and a table of events. */
export function wireTable(parts: WiringParts & { readonly events: Sql; readonly hasStream: boolean }): Wiring {
  const { log, redis, source, views, metrics, hasStream } = parts
  let pipeline: Pipeline | null = null
  const applied = createAppliedPosition(() => pipeline?.requestProgress())
  const observer = { read: metrics.cacheRead, fill: metrics.cacheFill }
  const cache = openSystemCache({ redis, sql: source, log, observer, applied: hasStream ? applied : null }, { views })
  return {
    cache,
    events: createTableEventBus({ sql: parts.events, log }),
    async start() {
      const started = await startStream({ ...parts, cache }, applied)
      pipeline = started.pipeline
      return started
    },
    close: () => Promise.resolve(),
  }
}

/** Distributed: the connector's topics, and topics of events. */
export function wireTopics(
  parts: WiringParts & { readonly kafka: KafkaConnection | undefined; readonly consumers: readonly ConsumerName[] },
): Wiring {
  const { log, config, redis, source, views, metrics, kafka } = parts
  if (!kafka) throw new TrackOpsError('CONFIG_INVALID', 'the distributed mode needs brokers: set KAFKA_BROKERS.')
  const clients = createKafkaClients(kafka)
  const partitions = followPartitions({ clients, log }, config)
  const deadLetterTopics = createDeadLetterTopics({ clients, log })
  const observer = { read: metrics.cacheRead, fill: metrics.cacheFill }
  const cache = openSystemCache({ redis, sql: source, log, observer }, { views, partitions: partitions.names })
  return {
    cache,
    events: createTopicEventBus({
      clients,
      sql: source,
      log,
      onSetAside: (letter) => deadLetterTopics.publish(letter.source, letter),
    }),
    start: () => startTopicStreams({ ...parts, cache, clients, deadLetterTopics, roles: parts.consumers }),
    async close() {
      await partitions.close()
      await deadLetterTopics.close()
    },
  }
}
