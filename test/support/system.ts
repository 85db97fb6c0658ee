/**
 * The order system in this process, on servers of the test: databases of their own in the shared PostgreSQL, a Redis of its own,
 * random ports.
 */
import { randomBytes } from 'node:crypto'

import { createClient } from '@redis/client'
import type { Sql } from 'postgres'

import config from '../../trackops.config.ts'
import type { ServerUrls } from '../../src/roles/connections.ts'
import type { TrackOpsConfig } from '../../src/roles/define-config.ts'
import { CONSUMERS } from '../../src/consume/stream-consumer.ts'
import { startSystem, type System } from '../../src/roles/system.ts'
import { untilReady } from '../../src/roles/until-ready.ts'
import type { ConsumerName } from '../../src/consume/stream-consumer.ts'
import { installConnector } from '../../src/roles/distributed/install-connector.ts'
import type { KafkaConnection } from '../../src/roles/kafka-clients.ts'
import { createLogger, type Logger, SILENT } from '../../src/runtime/logger.ts'
import { defer, type TestScope } from './defer.ts'
import { freePort } from './free-port.ts'
import { testPostgres } from './postgres.ts'
import { type TestRedis, testRedis } from './redis.ts'
import type { TestStack } from './stack.ts'

export interface TestSystem {
  readonly sql: Sql
  readonly inventorySql: Sql
  readonly redis: ReturnType<typeof redisClient>
  readonly redisServer: TestRedis
  readonly urls: ServerUrls
  readonly config: TrackOpsConfig
  readonly kafka: KafkaConnection | undefined
  readonly orderUrl: string
  readonly inventoryUrl: string
  readonly consoleUrl: string
  readonly system: () => System
  /** Closes the system and starts another on the same servers. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

export interface TestSystemOptions {
  /** The distributed mode, on these servers. Consumer groups and event topics have fixed names: one system a stack. */
  readonly stack?: TestStack
  readonly consumers?: readonly ConsumerName[]
  readonly config?: Partial<TrackOpsConfig>
  /** Instead of a database in the shared server. */
  readonly source?: { readonly url: string; readonly sql: Sql }
  readonly log?: Logger
  /** Instead of a server of its own. */
  readonly redis?: TestRedis

  /** Keys a second that the system itself compares with the database; default none. */
  readonly verifyRateKeysPerSecond?: number
}

function redisClient(url: string) {
  return createClient({ url, RESP: 2 })
}

/** What is confirmed is known sooner, and few partitions are enough. */
const QUICK = { partitions: 3, properties: { 'heartbeat.interval.ms': '200', 'poll.interval.ms': '10' } }

const ROOT = new URL('../../', import.meta.url).pathname

export async function testSystem(scope: TestScope, options: TestSystemOptions = {}): Promise<TestSystem> {
  const source = options.source ?? (await testPostgres(scope))
  const inventory = await testPostgres(scope)
  const redisServer = options.redis ?? (await testRedis(scope))
  const ports = { order: await freePort(), inventory: await freePort(), console: await freePort() }
  const suffix = randomBytes(4).toString('hex')
  const env = { TRACKOPS_ORDER_PORT: String(ports.order), TRACKOPS_INVENTORY_PORT: String(ports.inventory) }
  const urls = { source: source.url, redis: redisServer.url, databases: { inventory: inventory.url } }
  const merged: TrackOpsConfig = {
    ...config,
    ...options.config,
    // Slots belong to a whole server: names that no other test uses.
    source: { ...config.source, slot: `test_${suffix}`, publication: `test_${suffix}` },
  }
  const log = options.log ?? (process.env['TRACKOPS_TEST_LOG'] ? createLogger('debug') : SILENT)
  const { stack } = options
  const kafka = stack && { brokers: stack.brokers }
  const start = async (): Promise<System> => {
    const signal = AbortSignal.timeout(120_000)
    const system = await startSystem(log, {
      mode: stack ? 'distributed' : 'embedded',
      kafka,
      loaded: { config: merged, directory: ROOT, file: `${ROOT}trackops.config.ts` },
      urls,
      env,
      host: '127.0.0.1',
      consolePort: ports.console,
      consumers: options.consumers ?? CONSUMERS,
      services: (merged.services ?? []).map(({ name }) => name),
      verifyRateKeysPerSecond: options.verifyRateKeysPerSecond ?? 0,
      version: 'test',
      signal: new AbortController().signal,
    })
    if (stack)
      await installConnector({
        config: merged,
        kafka: stack,
        connectUrl: stack.connectUrl,
        ...QUICK,
        sourceUrl: source.url,
        signal,
      })
    await untilReady(system, signal)
    return system
  }
  let current: System | undefined = await start()
  const stop = async (): Promise<void> => {
    await current?.close()
    current = undefined
  }
  defer(scope, stop)
  const redis = redisClient(redisServer.url)
  redis.on('error', () => undefined)
  await redis.connect()
  defer(scope, async () => redis.destroy())
  return {
    sql: source.sql,
    inventorySql: inventory.sql,
    redis,
    redisServer,
    urls,
    config: merged,
    kafka,
    orderUrl: `http://127.0.0.1:${ports.order}`,
    inventoryUrl: `http://127.0.0.1:${ports.inventory}`,
    consoleUrl: `http://127.0.0.1:${ports.console}`,
    system() {
      if (!current) throw new Error('the system is stopped')
      return current
    },
    async restart() {
      await stop()
      current = await start()
    },
    stop,
  }
}
