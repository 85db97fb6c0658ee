import type { Sql } from 'postgres'

import type { CompiledViews } from '../cache/compiled-view.ts'
import { createPlanner } from '../cache/plan.ts'
import { createCacheProtocol } from '../cache/protocol.ts'
import { openCapture } from '../capture/open-capture.ts'
import { createCacheConsumer } from '../consume/cache-consumer.ts'
import type { CacheRole } from '../consume/cache-roles.ts'
import { createTableEventStore } from '../consume/event-store.ts'
import { publishMissedEvents } from '../consume/missed-events.ts'
import { createOrderEventConsumer } from '../consume/order-event-consumer.ts'
import type { StreamConsumer } from '../consume/stream-consumer.ts'
import { createVisibility } from '../consume/visibility.ts'
import { insertDeadLetters } from '../log/dead-letters.ts'
import type { Logger } from '../runtime/logger.ts'
import type { AppliedPosition } from './applied-position.ts'
import type { ServerUrls } from './connections.ts'
import type { TrackOpsConfig } from './define-config.ts'
import { tablesOfViews } from './distributed/change-topics.ts'
import { createRedisWitness } from './history-witness.ts'
import type { Metrics } from './metrics.ts'
import { createPipeline, type Pipeline } from './pipeline.ts'
import { connectRedis, createRedisClient } from './redis-client.ts'
import type { SystemCache } from './system-cache.ts'
import type { RecentKeys } from '../verify/watch/key-sources.ts'

export interface StreamParts {
  readonly log: Logger
  readonly config: TrackOpsConfig
  readonly urls: ServerUrls
  readonly source: Sql
  readonly views: CompiledViews
  readonly cache: SystemCache
  readonly metrics: Metrics
  readonly recent: RecentKeys
}

export interface StartedStream {
  readonly pipeline: Pick<Pipeline, 'status'>
  /** Rejects if it can't go on. */
  readonly running: Promise<void>
  readonly stop: () => Promise<void>
}

/**
 * A transaction up to this size changes the cache in one atomic call. What is larger comes in pieces, which invalidate and
 * refill: bounded memory, and Redis is never held up for long.
 */
const MAX_WHOLE_TRANSACTION_CHANGES = 2_000

/** Embedded: capture and the three consumers, on one slot. */
export async function startStream(
  parts: StreamParts,
  applied: AppliedPosition,
): Promise<StartedStream & { readonly pipeline: Pipeline }> {
  const { log, config, urls, source, views, cache, metrics } = parts
  // A connection of their own: what consumers write in bulk must not stand before what readers ask for.
  const redis = createRedisClient(urls.redis, { name: 'trackops-consumers', log, tls: urls.redisTls })
  await connectRedis(redis, urls.redis)
  const protocol = createCacheProtocol({ redis, log }, { views })
  await protocol.load()
  const witness = createRedisWitness({ redis, protocol, log }, views)
  const planner = createPlanner(views)
  const viewNames = views.all.map((view) => view.name)
  const definitions = config.events ?? []
  const roles: readonly CacheRole[] =
    config.cache?.consumers === 'apart' ? ['cache-invalidator', 'cache-warmer'] : ['together']

  const consumers: StreamConsumer[] = roles.map((role) =>
    createCacheConsumer({
      role,
      protocol,
      planner,
      viewNames,
      log,
      refill: (keys, signal) => cache.refill(keys, signal),
      setAside: (letters) => insertDeadLetters(source, letters),
      onOperations: (operations) => parts.recent.note(operations),
      onApplied({ lsn, positions, commitTimeMicros }) {
        cache.reader.applied(positions)
        applied.advance(lsn)
        witness.answers()
        if (commitTimeMicros !== null) metrics.commitToCache(Date.now() / 1e3 - Number(commitTimeMicros) / 1e6)
      },
    }),
  )
  if (definitions.length > 0) {
    consumers.push(
      createOrderEventConsumer({
        store: createTableEventStore(source, 'order-event-consumer'),
        log,
        definitions,
        firstHorizon: await oldestRunning(source),
        recoverMissed: async (horizon, signal) => {
          await publishMissedEvents({ sql: source, log }, definitions, horizon, signal)
        },
      }),
    )
  }
  const tables = [...new Set([...tablesOfViews(config.views), ...definitions.map(({ table }) => table)])]
  const pipeline = createPipeline({
    log,
    consumers,
    openCapture: async (signal) => {
      applied.reset()
      return await openCapture(
        { sql: source, log, witness },
        {
          databaseUrl: urls.source,
          slot: config.source.slot,
          publication: config.source.publication,
          tables,
          maxTransactionChanges: MAX_WHOLE_TRANSACTION_CHANGES,
          signal,
        },
      )
    },
    createVisibility: (capture) => createVisibility({ sql: source, history: capture.history }),
  })
  const stopping = new AbortController()
  const running = pipeline.run(stopping.signal)
  running.catch(() => undefined)
  return {
    pipeline,
    running,
    async stop() {
      stopping.abort()
      await running.catch(() => undefined)
      protocol.close()
      redis.destroy()
    },
  }
}

/** Every transaction below it has ended. */
async function oldestRunning(sql: Sql): Promise<bigint> {
  const [row] = await sql<{ xid: string }[]>`select pg_snapshot_xmin(pg_current_snapshot())::text as xid`
  return BigInt(row?.xid ?? 0)
}
