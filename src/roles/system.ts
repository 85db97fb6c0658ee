import type { Sql } from 'postgres'

import { compileViews } from '../cache/compiled-view.ts'
import type { ConsumerName } from '../consume/stream-consumer.ts'
import { countDeadLetters, pruneDeadLetters } from '../log/dead-letters.ts'
import { pruneDomainEvents } from '../log/domain-event-table.ts'
import { prunePublishedEvents } from '../log/published-events.ts'
import { describeError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Settings } from '../runtime/settings.ts'
import { createRecentKeys } from '../verify/watch/key-sources.ts'
import { connectPostgres, type ServerUrls } from './connections.ts'
import { startConsoleServer } from './console-server.ts'
import type { KafkaConnection } from './kafka-clients.ts'
import type { LoadedConfig } from './load-config.ts'
import { createMetrics } from './metrics.ts'
import { prepareDatabases } from './prepare-databases.ts'
import { connectRedis, createRedisClient } from './redis-client.ts'
import type { StartedStream } from './start-stream.ts'
import { startServices } from './start-services.ts'
import { startWatch } from './start-watch.ts'
import { isReady, readSlot, readStatus, reasonOf, type StatusDeps } from './status.ts'
import { wireTable, wireTopics } from './wiring.ts'

export interface SystemOptions {
  readonly mode: Settings['mode']
  /** Distributed mode: where the brokers are. */
  readonly kafka?: KafkaConnection | undefined
  readonly loaded: LoadedConfig
  readonly urls: ServerUrls
  readonly env: NodeJS.ProcessEnv
  readonly host: string
  /** undefined: no console. */
  readonly consolePort: number | undefined
  /** Embedded: all or none of them, with the capture. */
  readonly consumers: readonly ConsumerName[]
  /** Names of the services to run here. */
  readonly services: readonly string[]
  /** Keys a second that are compared with the database, where there is a console; default 0: none. */
  readonly verifyRateKeysPerSecond?: number
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

    const redis = createRedisClient(urls.redis, { name: 'trackops-readers', log, tls: urls.redisTls })
    await connectRedis(redis, urls.redis)
    undo.push(async () => redis.destroy())

    let stream: StartedStream | null = null
    let deadLetters = 0
    let slotRetainedBytes: number | null = null
    const metrics = createMetrics({
      pipeline: () => stream?.pipeline.status() ?? null,
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

    const recent = createRecentKeys()
    const parts = { log, config, urls, source: own, views, metrics, recent }
    const wiring =
      options.mode === 'distributed'
        ? wireTopics({ ...parts, kafka: options.kafka, redis, consumers: options.consumers })
        : wireTable({ ...parts, events: source, redis, hasStream: options.consumers.length > 0 })
    undo.push(() => wiring.close())
    const { cache, events } = wiring
    undo.push(async () => cache.close())

    const ended = Promise.withResolvers<void>()
    ended.promise.catch(() => undefined)
    if (options.consumers.length > 0) {
      const started = await wiring.start()
      stream = started
      undo.push(started.stop)
      started.running.then(
        () => ended.resolve(),
        (error: unknown) => ended.reject(error),
      )
      const pruning = setInterval(() => void prune(source, log), PRUNE_EVERY_MS)
      undo.push(async () => clearInterval(pruning))
    }

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
      mode: options.mode,
      config,
      sql: source,
      redis,
      pipeline: stream?.pipeline ?? null,
      metrics,
      isTrusted: () => cache.reader.isRedisTrusted(),
      countDeadLetters: () => countDeadLetters(source),
      services: services.endpoints,
      startedAtMs: performance.now(),
    }
    const endpoints = [...services.endpoints]
    if (options.consolePort !== undefined) {
      const console_ = await startConsoleServer(
        { metrics, status: () => readStatus(status), isReady: () => isReady(status) },
        { host: options.host, port: options.consolePort, portVariable: 'TRACKOPS_CONSOLE_PORT' },
      )
      undo.push(() => console_.close())
      endpoints.push({ name: 'console', url: console_.url })
      const rateKeysPerSecond = options.verifyRateKeysPerSecond ?? 0
      if (rateKeysPerSecond > 0) {
        const connections = { redis, sql: source, views, loaded, kafka: options.kafka, recent, metrics }
        const watch = startWatch(log, connections, { rateKeysPerSecond })
        undo.push(() => watch.stop())
      }
    }
    return { endpoints, ended: ended.promise, isReady: () => isReady(status), reason: () => reasonOf(status), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function prune(sql: Sql, log: Logger): Promise<void> {
  try {
    await pruneDomainEvents(sql, RETENTION_SECONDS)
    await prunePublishedEvents(sql, RETENTION_SECONDS)
    await pruneDeadLetters(sql, RETENTION_SECONDS)
  } catch (error) {
    log.warn({ error: describeError(error) }, 'what is older than its retention could not be removed yet')
  }
}
