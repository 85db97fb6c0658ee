import type { Sql } from 'postgres'

import { compileViews } from '../cache/compiled-view.ts'
import { createPlanner } from '../cache/plan.ts'
import { createCacheProtocol } from '../cache/protocol.ts'
import { openCapture } from '../capture/open-capture.ts'
import { createCacheConsumer } from '../consume/cache-consumer.ts'
import type { CacheRole } from '../consume/cache-roles.ts'
import { publishMissedEvents } from '../consume/missed-events.ts'
import { createTableEventStore } from '../consume/event-store.ts'
import { createOrderEventConsumer } from '../consume/order-event-consumer.ts'
import type { StreamConsumer } from '../consume/stream-consumer.ts'
import { createVisibility } from '../consume/visibility.ts'
import { countDeadLetters, insertDeadLetters, pruneDeadLetters } from '../log/dead-letters.ts'
import { pruneDomainEvents } from '../log/domain-event-table.ts'
import { createTableEventBus } from '../log/table-event-bus.ts'
import { describeError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { type AppliedPosition, createAppliedPosition } from './applied-position.ts'
import { openSystemCache, type SystemCache } from './system-cache.ts'
import { connectPostgres, type ServerUrls } from './connections.ts'
import { startConsoleServer } from './console-server.ts'
import type { LoadedConfig } from './load-config.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createPipeline, type Pipeline } from './pipeline.ts'
import { prepareDatabases } from './prepare-databases.ts'
import { connectRedis, createRedisClient } from './redis-client.ts'
import { startServices } from './start-services.ts'
import { isReady, readSlot, readStatus, reasonOf, type StatusDeps } from './status.ts'

export interface SystemOptions {
  readonly loaded: LoadedConfig
  readonly urls: ServerUrls
  readonly env: NodeJS.ProcessEnv
  readonly host: string
  /** undefined: no console. */
  readonly consolePort: number | undefined
  /** Whether capture and the consumers run here. */
  readonly withStream: boolean
  /** Names of the services to run here. */
  readonly services: readonly string[]
  readonly version: string
  readonly signal: AbortSignal
}

export interface System {
  /** What serves, for people. */
  readonly endpoints: readonly { readonly name: string; readonly url: string }[]
  /** Rejects if the system can't go on; resolves when it was closed. */
  readonly ended: Promise<void>
  isReady(): boolean
  /** Why it waits, and what to do about it; null while everything runs. */
  reason(): string | null
  /** Services first, so that nobody is answered from what no longer moves; then the stream; then connections. */
  close(): Promise<void>
}

const LOCK_TIMEOUT_MS = 3_000
const RETENTION_SECONDS = 7 * 86_400
const PRUNE_EVERY_MS = 600_000
const COUNT_EVERY_MS = 5_000

/** The composition root: constructs the drivers, passes them in, and takes everything down in the reverse order. */
export async function startSystem(log: Logger, options: SystemOptions): Promise<System> {
  const { loaded, urls } = options
  const { config } = loaded
  const views = compileViews(config.views, { keyPrefix: config.cache?.keyPrefix })
  const undo: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) {
      await step().catch((error: unknown) => log.warn({ error: describeError(error) }, 'could not be closed properly'))
    }
  }
  try {
    const databases = new Map<string, Sql>()
    for (const [name, url] of [['source', urls.source] as const, ...Object.entries(urls.databases)]) {
      const sql = await connectPostgres(url, { applicationName: 'trackops', maxConnections: 20 })
      undo.push(() => sql.end({ timeout: 5 }))
      databases.set(name, sql)
    }
    const database = (name: string): Sql => {
      const sql = databases.get(name)
      if (!sql) throw new Error(`the configuration has no database ${name}`)
      return sql
    }
    const source = database('source')
    await prepareDatabases(loaded, database)
    // Of our own, and never long behind a lock: a table that is altered while a snapshot reads it waits for the snapshot, our reads
    // wait for the ALTER TABLE, and the snapshot for us. PostgreSQL can't see such a circle, which passes through this process.
    const own = await connectPostgres(urls.source, {
      applicationName: 'trackops-stream',
      maxConnections: 20,
      lockTimeoutMs: LOCK_TIMEOUT_MS,
    })
    undo.push(() => own.end({ timeout: 5 }))

    const redis = createRedisClient(urls.redis, { name: 'trackops-readers', log })
    await connectRedis(redis, urls.redis)
    undo.push(async () => redis.destroy())

    let pipeline: Pipeline | null = null
    let deadLetters = 0
    let slotRetainedBytes: number | null = null
    const metrics = createMetrics({
      pipeline: () => pipeline?.status() ?? null,
      deadLetters: () => deadLetters,
      slotRetainedBytes: () => slotRetainedBytes,
    })
    const looking = setInterval(() => {
      void countDeadLetters(source)
        .then((count) => (deadLetters = count))
        .catch(() => undefined)
      void readSlot(source, config.source.slot)
        .then((slot) => (slotRetainedBytes = slot?.retainedBytes ?? null))
        .catch(() => undefined)
    }, COUNT_EVERY_MS)
    undo.push(async () => clearInterval(looking))

    const applied = options.withStream ? createAppliedPosition(() => pipeline?.requestProgress()) : null
    const observer = { read: metrics.cacheRead, fill: metrics.cacheFill }
    const cache = openSystemCache({ redis, sql: own, log, observer, applied }, { views })
    undo.push(async () => cache.close())

    const ended = Promise.withResolvers<void>()
    ended.promise.catch(() => undefined)
    if (options.withStream && applied) {
      const started = await startStream({ log, options, source: own, views, cache, metrics, applied })
      pipeline = started.pipeline
      undo.push(started.stop)
      started.running.then(
        () => ended.resolve(),
        (error: unknown) => ended.reject(error),
      )
    }

    const events = createTableEventBus({ sql: source, log })
    const definitions = (config.services ?? []).filter((service) => options.services.includes(service.name))
    const services = await startServices(definitions, {
      log,
      metrics: metrics.registry,
      env: options.env,
      host: options.host,
      database,
      cache: cache.reader,
      events,
    })
    undo.push(services.close)

    const status: StatusDeps = {
      version: options.version,
      config,
      sql: source,
      redis,
      pipeline,
      metrics,
      isTrusted: () => cache.reader.isRedisTrusted(),
      countDeadLetters: () => countDeadLetters(source),
      services: services.endpoints,
      startedAtMs: Date.now(),
    }
    const endpoints = [...services.endpoints]
    if (options.consolePort !== undefined) {
      const console_ = await startConsoleServer(
        { metrics, status: () => readStatus(status), isReady: () => isReady(status) },
        { host: options.host, port: options.consolePort, portVariable: 'TRACKOPS_CONSOLE_PORT' },
      )
      undo.push(() => console_.close())
      endpoints.push({ name: 'console', url: console_.url })
    }
    return { endpoints, ended: ended.promise, isReady: () => isReady(status), reason: () => reasonOf(status), close }
  } catch (error) {
    await close()
    throw error
  }
}

interface StreamParts {
  readonly log: Logger
  readonly options: SystemOptions
  readonly source: Sql
  readonly views: ReturnType<typeof compileViews>
  readonly cache: SystemCache
  readonly metrics: Metrics
  readonly applied: AppliedPosition
}

interface StartedStream {
  readonly pipeline: Pipeline
  readonly running: Promise<void>
  readonly stop: () => Promise<void>
}

/** Capture and the three consumers, on one slot. */
async function startStream(parts: StreamParts): Promise<StartedStream> {
  const { log, options, source, views, cache, metrics, applied } = parts
  const { config } = options.loaded
  // A connection of their own: what consumers write in bulk must not stand before what readers ask for.
  const redis = createRedisClient(options.urls.redis, { name: 'trackops-consumers', log })
  await connectRedis(redis, options.urls.redis)
  const protocol = createCacheProtocol({ redis, log }, { views })
  await protocol.load()
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
      onApplied({ lsn, positions, commitTimeMicros }) {
        cache.reader.applied(positions)
        applied.advance(lsn)
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
  const tables = [...new Set([...tablesOf(options.loaded.config.views), ...definitions.map(({ table }) => table)])]
  const pipeline = createPipeline({
    log,
    consumers,
    openCapture: async (signal) => {
      applied.reset()
      return await openCapture(
        { sql: source, log },
        {
          databaseUrl: options.urls.source,
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
  const pruning = setInterval(() => void prune(source, log), PRUNE_EVERY_MS)
  return {
    pipeline,
    running,
    async stop() {
      clearInterval(pruning)
      stopping.abort()
      await running.catch(() => undefined)
      protocol.close()
      redis.destroy()
    },
  }
}

/**
 * A transaction up to this size changes the cache in one atomic call. What is larger comes in pieces, which invalidate and
 * refill: bounded memory, and Redis is never held up for long.
 */
const MAX_WHOLE_TRANSACTION_CHANGES = 2_000

/** Every transaction below it has ended. */
async function oldestRunning(sql: Sql): Promise<bigint> {
  const [row] = await sql<{ xid: string }[]>`select pg_snapshot_xmin(pg_current_snapshot())::text as xid`
  return BigInt(row?.xid ?? 0)
}

function tablesOf(views: LoadedConfig['config']['views']): readonly string[] {
  return views.flatMap((view) => (view.kind === 'query' ? view.dependsOn.map(({ table }) => table) : [view.table]))
}

async function prune(sql: Sql, log: Logger): Promise<void> {
  try {
    await pruneDomainEvents(sql, RETENTION_SECONDS)
    await pruneDeadLetters(sql, RETENTION_SECONDS)
  } catch (error) {
    log.warn({ error: describeError(error) }, 'what is older than its retention could not be removed yet')
  }
}
