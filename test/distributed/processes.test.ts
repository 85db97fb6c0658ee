import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import config from '../../trackops.config.ts'
import { installConnector } from '../../src/roles/distributed/install-connector.ts'
import { prepareDatabases } from '../../src/roles/prepare-databases.ts'
import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { assertBooksBalance } from '../faults/killed.ts'
import { defer } from '../support/defer.ts'
import { WHOLE_MS } from '../support/distributed.ts'
import { freePort } from '../support/free-port.ts'
import { ownPostgres } from '../support/postgres.ts'
import { type CliProcess, startCli } from '../support/process.ts'
import { testRedis } from '../support/redis.ts'
import { ownStack, whyNoStack } from '../support/stack.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { ordersComeAndGo } from './orders-come-and-go.ts'
import { copyEvents } from './topic-events.ts'

const skip = await whyNoStack()
const ROOT = new URL('../../', import.meta.url).pathname
const PARTITIONS = 3

test(
  'roles as processes share partitions, come and go under load, and are killed: nothing lost, nothing twice',
  { skip, timeout: WHOLE_MS },
  async (t) => {
    const site = await processSite(t)
    const services = await site.run('order-service', 'inventory-service')
    const events = await site.run('order-event-consumer')
    await site.run('cache-invalidator')
    const first = await site.run('cache-warmer')
    await waitFor(() => partitionsOf(first), { what: 'all partitions', until: (count) => count === 2 * PARTITIONS })

    const stop = new AbortController()
    const load = ordersComeAndGo(site, stop.signal)
    const progress = async (): Promise<void> => {
      const count = async (): Promise<number> =>
        (await site.sql<{ n: number }[]>`select count(*)::int as n from orders`)[0]?.n ?? 0
      const from = await count()
      await waitFor(async () => (await count()) > from + 60, { what: 'orders', intervalMs: 50 })
    }
    try {
      await progress()
      const second = await site.run('cache-warmer')
      await waitFor(async () => [await partitionsOf(first), await partitionsOf(second)], {
        what: 'both to share the partitions',
        until: ([a, b]) => a === PARTITIONS && b === PARTITIONS,
      })
      await progress()
      await first.process.end('SIGKILL')
      await waitFor(() => partitionsOf(second), {
        what: 'the other to take over',
        until: (count) => count === 2 * PARTITIONS,
      })
      await progress()
      const third = await site.run('cache-warmer')
      await waitFor(() => partitionsOf(third), { what: 'the third to join', until: (count) => count === PARTITIONS })
      await events.process.end('SIGKILL')
      await progress()
      await site.run('order-event-consumer')
      const left = await second.process.end('SIGTERM')
      assert.deepEqual([left.exitCode, left.stderr], [0, ''])
      await progress()
    } finally {
      stop.abort()
      await load
    }
    const judged = { ...site, consoleUrl: services.consoleUrl }
    await caughtUp(judged, 120_000)
    assert.deepEqual(await copyEvents(site), [], 'no event is on the topic twice')
    await assertBooksBalance(site.sql, site.inventorySql, 'processes')
    await caughtUp(judged)
    await assertNothingStale(judged)
  },
)

interface Role {
  readonly process: CliProcess
  readonly consoleUrl: string
}

async function partitionsOf(role: Role): Promise<number> {
  return (await statusOf(role)).consumers.reduce((sum, { partitions }) => sum + (partitions ?? 0), 0)
}

/** Servers, databases and the connector; `run` starts roles as a process of their own, with a console to look at them. */
async function processSite(t: TestContext) {
  const postgres = await ownPostgres(t)
  const redis = await testRedis(t)
  const stack = await ownStack(t, { connectSettings: { 'offset.flush.interval.ms': '100' } })
  await postgres.sql`create database trackops_inventory`
  const inventoryUrl = postgres.url.replace(/\/postgres$/, '/trackops_inventory')
  const inventorySql = createPostgresPool(inventoryUrl, { applicationName: 'processes-test' })
  defer(t, () => inventorySql.end({ timeout: 1 }))
  const loaded = { config, directory: ROOT, file: `${ROOT}trackops.config.ts` }
  await prepareDatabases(loaded, (name) => (name === 'source' ? postgres.sql : inventorySql))
  await installConnector({
    config,
    kafka: stack,
    connectUrl: stack.connectUrl,
    sourceUrl: postgres.url,
    partitions: PARTITIONS,
    properties: { 'heartbeat.interval.ms': '200', 'poll.interval.ms': '10' },
    signal: AbortSignal.timeout(120_000),
  })
  const ports = { order: await freePort(), inventory: await freePort() }
  const env = {
    DATABASE_URL: postgres.url,
    INVENTORY_DATABASE_URL: inventoryUrl,
    REDIS_URL: redis.url,
    KAFKA_BROKERS: stack.brokers.join(','),
    TRACKOPS_ORDER_PORT: String(ports.order),
    TRACKOPS_INVENTORY_PORT: String(ports.inventory),
    TRACKOPS_LOG_LEVEL: 'silent',
  }
  return {
    sql: postgres.sql,
    inventorySql,
    stack,
    config,
    kafka: { brokers: stack.brokers },
    orderUrl: `http://127.0.0.1:${ports.order}`,
    urls: { source: postgres.url, redis: redis.url, databases: { inventory: inventoryUrl } },
    async run(...roles: readonly string[]): Promise<Role> {
      const console_ = await freePort()
      const process = startCli(t, ['run', ...roles, 'console'], { ...env, TRACKOPS_CONSOLE_PORT: String(console_) })
      const role = { process, consoleUrl: `http://127.0.0.1:${console_}` }
      // One that only serves is ready when readers trust Redis, which takes consumers.
      await waitFor(() => statusOf(role), { what: `${roles.join(' ')} to answer` })
      return role
    },
  }
}
