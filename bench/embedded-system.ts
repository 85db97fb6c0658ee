/** TrackOps without Kafka, as a process of its own, on servers of the benchmark: what measures it takes none of its time. */
import type { Sql } from 'postgres'

import { connectRedis, createRedisClient, type RedisClient } from '../src/roles/redis-client.ts'
import { STREAM_ROLES } from '../src/roles/run-roles.ts'
import { createPostgresPool } from '../src/runtime/postgres.ts'
import { SILENT } from '../src/runtime/logger.ts'
import { defer, type TestScope } from '../test/support/defer.ts'
import { freePort } from '../test/support/free-port.ts'
import { startTestCluster } from '../test/support/postgres-cluster.ts'
import { startCli } from '../test/support/process.ts'
import { testRedis } from '../test/support/redis.ts'
import { caughtUp } from '../test/support/verdict.ts'

export interface EmbeddedSystem {
  readonly name: string
  readonly pid: number
  readonly urls: { readonly source: string; readonly redis: string }
  readonly sql: Sql
  readonly redis: RedisClient
  /** Resolves when everything that was committed before the call is applied. */
  caughtUp(): Promise<void>
}

const CATCH_UP_MS = 600_000

export async function startEmbeddedSystem(scope: TestScope): Promise<EmbeddedSystem> {
  const cluster = await startTestCluster({ max_wal_size: '8GB' })
  defer(scope, () => cluster.remove())
  const sql = createPostgresPool(cluster.url, { applicationName: 'bench', maxConnections: 20 })
  defer(scope, () => sql.end({ timeout: 1 }))
  await sql.unsafe('create database inventory')
  const inventory = Object.assign(new URL(cluster.url), { pathname: '/inventory' }).href
  const redisServer = await testRedis(scope)
  const redis = createRedisClient(redisServer.url, { name: 'bench', log: SILENT })
  await connectRedis(redis, redisServer.url)
  defer(scope, () => redis.destroy())
  const consolePort = await freePort()
  const trackops = startCli(scope, ['run', ...STREAM_ROLES, 'console'], {
    DATABASE_URL: cluster.url,
    INVENTORY_DATABASE_URL: inventory,
    REDIS_URL: redisServer.url,
    TRACKOPS_CONSOLE_PORT: String(consolePort),
    // It compares keys with the database, 20 a second: not what is measured.
    TRACKOPS_VERIFY_RATE: '0',
    TRACKOPS_LOG_LEVEL: 'silent',
  })
  // It leads a process group of its own: Ctrl-C does not reach it.
  const emergency = (): void => kill(trackops.pid)
  process.on('exit', emergency)
  defer(scope, () => process.off('exit', emergency))
  await trackops.ready()
  const urls = { source: cluster.url, redis: redisServer.url, databases: { inventory } }
  const judged = { urls, consoleUrl: `http://127.0.0.1:${consolePort}` }
  return { name: 'trackops', pid: trackops.pid, urls, sql, redis, caughtUp: () => caughtUp(judged, CATCH_UP_MS) }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
