/** A process killed at a named point of its work, found from outside by what it says to its servers, and what has to be right afterwards. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'

import config from '../../trackops.config.ts'
import { CONSUMERS } from '../../src/consume/stream-consumer.ts'
import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { createRedisClient } from '../../src/roles/redis-client.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import { copyEvents } from '../distributed/topic-events.ts'
import { defer, type TestScope } from '../support/defer.ts'
import { freePort } from '../support/free-port.ts'
import { gate } from '../support/gate.ts'
import { ownPostgres } from '../support/postgres.ts'
import { type CliProcess, startCli } from '../support/process.ts'
import { testRedis } from '../support/redis.ts'
import type { OwnStack } from '../support/stack.ts'
import { assertNothingStale, caughtUp, type JudgedSystem } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { type PostgresRequest, postgresRequests, type RedisCommand, redisCommands } from '../support/wire-messages.ts'
import apart from './apart-config.ts'
import { assertBooksBalance } from './killed.ts'

const SERVICES = ['order-service', 'inventory-service', 'console']
const LUA = join(import.meta.dirname, '../../src/cache/lua')

export const POSITION = { invalidator: 'trackops:position:cache-invalidator', warmer: 'trackops:position:cache-warmer' }

export interface Point {
  readonly name: string
  readonly areApart?: boolean
  /** How the next process has them; default: the same. */
  readonly areApartThen?: boolean
  /** Its slot is made anew, and all is forgotten; default: what was not acked comes again, and nothing is forgotten. */
  readonly isSlotLost?: boolean
  /** Makes the process come to the point and waits for it there; ends when it is to be killed. */
  readonly reach: (site: KillSite) => Promise<void>
}

export type KillSite = Awaited<ReturnType<typeof killSite>>

/** The distributed mode: a stack, and how the process reaches its broker. */
export interface GatedLog {
  readonly stack: OwnStack
  readonly gatedBroker: string
}

/** Servers that outlive every process of the test, each behind a gate that only the process goes through. */
export async function killSite(scope: TestScope, log?: GatedLog) {
  const postgres = await ownPostgres(scope)
  const redisServer = await testRedis(scope)
  await postgres.sql`create database trackops_inventory`
  const inventoryUrl = withDatabase(postgres.url, postgres.port, 'trackops_inventory')
  const sql = postgres.sql
  const inventorySql = createPostgresPool(inventoryUrl, { applicationName: 'kill-points-test', maxConnections: 2 })
  defer(scope, () => inventorySql.end({ timeout: 1 }))
  const redis = createRedisClient(redisServer.url, { name: 'test', log: SILENT })
  await redis.connect()
  defer(scope, () => redis.destroy())
  const gates = {
    source: await gate(scope, postgres.port, postgresRequests),
    inventory: await gate(scope, postgres.port, postgresRequests),
    redis: await gate(scope, redisServer.port, redisCommands),
    /** Of `forget`, beside the process that serves. */
    command: await gate(scope, redisServer.port, redisCommands),
  }
  const ports = { order: await freePort(), inventory: await freePort(), console: await freePort() }
  const env = {
    DATABASE_URL: withDatabase(postgres.url, gates.source.port, 'postgres'),
    INVENTORY_DATABASE_URL: withDatabase(postgres.url, gates.inventory.port, 'trackops_inventory'),
    REDIS_URL: `redis://127.0.0.1:${gates.redis.port}/0`,
    TRACKOPS_ORDER_PORT: String(ports.order),
    TRACKOPS_INVENTORY_PORT: String(ports.inventory),
    TRACKOPS_CONSOLE_PORT: String(ports.console),
    TRACKOPS_VERIFY_RATE: '0',
    ...(log ? { KAFKA_BROKERS: log.gatedBroker } : {}),
  }
  const orderUrl = `http://127.0.0.1:${ports.order}`
  const urls = { source: postgres.url, redis: redisServer.url, databases: { inventory: inventoryUrl } }
  const consoleUrl = `http://127.0.0.1:${ports.console}`
  const customer = crypto.randomUUID()
  let made: readonly string[] = []
  let running: { readonly process: CliProcess; readonly areApart: boolean } | undefined

  function start(areApart = false): CliProcess {
    const more = areApart ? { TRACKOPS_CONFIG: join(import.meta.dirname, 'apart-config.ts') } : {}
    const process = startCli(scope, ['run', ...(log ? CONSUMERS : ['capture', ...CONSUMERS]), ...SERVICES], {
      ...env,
      ...more,
    })
    running = { process, areApart }
    return process
  }

  async function kill(): Promise<void> {
    await running?.process.end('SIGKILL')
    running = undefined
  }

  /**
   * Three orders with items and one without, of one customer. Those that were made the last time change, one of them for good: nothing
   * comes by later that would hide that this change was lost.
   */
  async function changeOrders(): Promise<readonly string[]> {
    const earlier = made
    const [alone, ...withItems] = Array.from({ length: 4 }, () => crypto.randomUUID())
    made = [alone ?? '', ...withItems]
    await sql.begin(async (tx) => {
      await tx`insert into orders ${tx(made.map((id) => ({ id, customer_id: customer })))}`
      await tx`
        insert into order_items (order_id, product_id, quantity)
        select id, product, 2 from unnest(${withItems}::uuid[]) id, unnest(array['a', 'b']) product`
      await tx`update orders set city = 'Moved' where id = any (${[...earlier]}::uuid[])`
      await tx`update orders set status = 'CANCELLED' where id = any (${earlier.slice(1, 2)}::uuid[])`
    })
    return made
  }

  /** Fills the lists, too: of the customer's orders, and of the items of one that was made last. */
  async function readOrders(): Promise<readonly { id: string; status: string }[]> {
    await (await fetch(`${orderUrl}/api/orders/${made.at(-1)}`)).arrayBuffer()
    const response = await fetch(`${orderUrl}/api/customers/${customer}/orders`)
    assert.equal(response.status, 200)
    return ((await response.json()) as { orders: { id: string; status: string }[] }).orders
  }

  function judged(areApart = false): JudgedSystem {
    return { urls, consoleUrl, config: areApart ? apart : config, kafka: log && { brokers: log.stack.brokers } }
  }

  /** @throws unless what was committed is cached right, announced once and reserved once, and nothing is left in the way */
  async function assertAllIsRight(areApart = false, said = ''): Promise<void> {
    const system = judged(areApart)
    await caughtUp(system)
    if (log) assert.deepEqual(await copyEvents({ sql, stack: log.stack }), [], 'no event is on the topic twice')
    await assertBooksBalance(sql, inventorySql, said)
    await caughtUp(system)
    await assertNothingStale(system)
    const letters = await sql`select consumer, error_code from trackops.dead_letters`
    assert.deepEqual([...letters], [], 'nothing was set aside')
    const orders = await sql<{ id: string; status: string }[]>`
      select id::text, status from orders where customer_id = ${customer} order by id`
    const read = (await readOrders()).map(({ id, status }) => ({ id, status }))
    assert.deepEqual(
      read.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      [...orders],
    )
    // A fence has no end of its own, a lease must have one.
    await waitFor(async () => (await keysLike('{*}:fence')).length === 0, { what: 'no fence to be left' })
    for (const key of await keysLike('{*}:lease')) assert.notEqual(await redis.pTTL(key), -1, `${key} never ends`)
  }

  async function keysLike(pattern: string): Promise<readonly string[]> {
    const found: string[] = []
    for await (const keys of redis.scanIterator({ MATCH: pattern, COUNT: 1000 })) found.push(...keys)
    return found
  }

  /** Of the slot as it is; the system that made it would make it anew if it were killed before its snapshot is done. Distributed: none. */
  async function slotEpoch(): Promise<string | null> {
    if (log) return null
    const [slot] = await waitFor(
      () => sql<{ epoch: string }[]>`select epoch::text from trackops.slots where snapshot_completed_at is not null`,
      { what: 'the snapshot to be done', until: (rows) => rows.length === 1 },
    )
    return slot?.epoch ?? null
  }

  /** The next process puts in order what the one before it left, and what has changed since. */
  async function recover(areApart = false): Promise<void> {
    await changeOrders()
    const next = start(areApart)
    await next.ready()
    await changeOrders()
    await assertAllIsRight(areApart, next.stderr())
  }

  return {
    orderUrl,
    sql,
    inventorySql,
    redis,
    gates,
    customer,
    sourceUrl: postgres.url,
    start,
    kill,
    forget: () => startCli(scope, ['forget'], { ...env, REDIS_URL: `redis://127.0.0.1:${gates.command.port}/0` }),
    caughtUp: () => caughtUp(judged(running?.areApart)),
    assertNothingStale: () => assertNothingStale(judged(running?.areApart)),
    recover,
    assertAllIsRight,
    changeOrders,
    readOrders,
    keysLike,
    slotEpoch,

    /** A process that is ready: the one that runs, if it is one of these. */
    async running(areApart: boolean): Promise<void> {
      if (running?.areApart === areApart) return
      await kill()
      await start(areApart).ready()
      await changeOrders()
      await caughtUp(judged(areApart))
    },
  }
}

/** The process comes to the point and is killed there; the next one has to put all in order. */
export async function killAt(site: KillSite, point: Omit<Point, 'name'>): Promise<void> {
  const { areApart = false, areApartThen = areApart, isSlotLost = false, reach } = point
  await site.running(areApart)
  await site.readOrders()
  const epoch = await site.slotEpoch()
  await reach(site)
  await site.kill()
  await site.recover(areApartThen)
  assert.equal((await site.slotEpoch()) !== epoch, isSlotLost)
}

/** A test for each point, all on the same servers: a process comes to the point and is killed there, the next one puts all in order. */
export async function killAtEach(points: readonly Point[]): Promise<void> {
  const site = await killSite({ after })
  for (const point of points) {
    test(`killed: ${point.name}. The next one loses nothing, does nothing twice and leaves nothing stale`, async () => {
      await killAt(site, point)
    })
  }
}

/** The end of a transaction in which such a statement was executed. */
export function commits(statement: string): (request: PostgresRequest) => boolean {
  return ({ statements, transaction }) =>
    statements.includes('commit') && transaction.some((text) => text.startsWith(statement))
}

/** Whether a command runs one of our scripts; `isMeant` looks at its keys and arguments, in the order of the script's head. */
export function runs(
  script: 'apply' | 'settle' | 'reposition' | 'raise-view-fence',
  isMeant: (call: ScriptCall) => boolean = () => true,
): (command: RedisCommand) => boolean {
  const text = ['versions', script].map((name) => readFileSync(join(LUA, `${name}.lua`), 'utf8')).join('\n')
  const sha = createHash('sha1').update(text).digest('hex')
  return (command) => command[0] === 'EVALSHA' && command[1] === sha && isMeant(callOf(command))
}

export interface ScriptCall {
  readonly keys: readonly string[]
  readonly args: readonly string[]
}

export function callOf([, , count, ...rest]: RedisCommand): ScriptCall {
  return { keys: rest.slice(0, Number(count)), args: rest.slice(Number(count)) }
}

/** Arguments of `apply`: see the head of apply.lua. */
export const FROM = { invalidator: 1, warmer: 2 } as const
export const TO = 3

/** A call of `apply` that brings changes of orders, not only a position. */
export function bringsRows(role?: 'i' | 'w'): (call: ScriptCall) => boolean {
  return ({ keys, args }) =>
    (role === undefined || args[0] === role) && keys.some((key) => key.startsWith('order:status:'))
}

function withDatabase(url: string, port: number, name: string): string {
  const changed = new URL(url)
  changed.port = String(port)
  changed.pathname = `/${name}`
  return changed.href
}
