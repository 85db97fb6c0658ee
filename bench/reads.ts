/**
 * What does a cached read cost? GET /api/orders/:id of the order service, all of it hits, beside a route of the same server that answers a
 * constant, and one that asks the database; and the reader alone beside a bare GET of the same Redis client.
 *
 *   npm run bench -- reads [--orders 1000] [--connections 16] [--seconds 5] [--rounds 3]
 *
 * Lanes take turns. The service is a process of its own; the reader alone runs in this one.
 */
import config from '../trackops.config.ts'
import { orderEntity } from '../app/views.ts'
import { compileViews } from '../src/cache/compiled-view.ts'
import { openSystemCache } from '../src/roles/system-cache.ts'
import { SILENT } from '../src/runtime/logger.ts'
import { defer, type TestScope } from '../test/support/defer.ts'
import { waitFor } from '../test/support/wait-for.ts'
import { type EmbeddedSystem, startEmbeddedSystem } from './embedded-system.ts'
import type { Bench } from './measure.ts'
import { measureCalls } from './reads/call-load.ts'
import { measureRequests, type Throughput } from './reads/http-load.ts'
import { CACHE_PATH, DATABASE_PATH, STATIC_PATH } from './reads/routes.ts'
import { startReadService } from './reads/start-read-service.ts'
import { entityKey } from './rivals/order-document.ts'

export const LANES = ['constant', 'cache', 'database', 'GET', 'reader'] as const
export type Lane = (typeof LANES)[number]

export interface ReadsFigures {
  readonly connections: number
  readonly orders: number
  readonly seconds: number
  readonly lanes: Readonly<Record<Lane, readonly Throughput[]>>
}

const ITEMS_AN_ORDER = 3
const WARM_UP_SECONDS = 1

export const reads: Bench = async ({ options, scope, print }): Promise<ReadsFigures> => {
  const orders = options.number('orders', 1_000)
  const connections = options.number('connections', 16)
  const seconds = options.number('seconds', 5)
  const system = await startEmbeddedSystem(scope)
  const ids = await insertOrders(system, orders)
  const service = await startReadService(scope, system.urls, ids[0] ?? '')
  const cachedPaths = ids.map((id) => `${CACHE_PATH}/${id}`)
  const requests = (paths: readonly string[]) => (forSeconds: number) =>
    measureRequests(service, paths, { connections, seconds: forSeconds })
  const calls = (call: (index: number) => Promise<void>) => (forSeconds: number) =>
    measureCalls(call, { callers: connections, seconds: forSeconds })
  const runs: Readonly<Record<Lane, (forSeconds: number) => Promise<Throughput>>> = {
    constant: requests([STATIC_PATH]),
    cache: requests(cachedPaths),
    database: requests(ids.map((id) => `${DATABASE_PATH}/${id}`)),
    GET: calls(bareGet(system, ids)),
    reader: calls(await readerAlone(scope, system, ids)),
  }
  await allAreHits(service, cachedPaths)
  for (const run of Object.values(runs)) await run(WARM_UP_SECONDS)

  const lanes: Record<Lane, Throughput[]> = { constant: [], cache: [], database: [], GET: [], reader: [] }
  for (let round = 0; round < options.number('rounds', 3); round++) {
    for (const lane of LANES) {
      const measured = await runs[lane](seconds)
      print(`  ${lane}: ${measured.perSecond} a second, p50 ${measured.p50Ms} ms, p99 ${measured.p99Ms} ms`)
      lanes[lane].push(measured)
    }
  }
  // Were they that long?
  await allAreHits(service, cachedPaths)
  return { connections, orders, seconds, lanes }
}

async function insertOrders(system: EmbeddedSystem, orders: number): Promise<readonly string[]> {
  const { sql } = system
  const rows = await sql<{ id: string }[]>`
    insert into orders (customer_id, total_amount, street_address, city, postal_code, country)
    select gen_random_uuid(), nr, nr || ' Main Street', 'Vienna', '1010', 'AT' from generate_series(1, ${orders}::int) nr
    returning id::text`
  await sql`
    insert into order_items (order_id, product_id, product_name, quantity, unit_price, total_price)
    select id, 'SKU-' || nr, 'Pen', nr, 1.5, 1.5 * nr from orders, generate_series(1, ${ITEMS_AN_ORDER}::int) nr`
  // As after some time in production; the tables are too small for anybody to have looked at them yet.
  await sql`analyze orders, order_items`
  await system.caughtUp()
  return rows.map(({ id }) => id)
}

/** Each once, to fill what is filled by reading; then each again until none asks the database. */
async function allAreHits(service: string, paths: readonly string[]): Promise<void> {
  await waitFor(
    async () => {
      let misses = 0
      for (const path of paths) {
        const response = await fetch(`${service}${path}`)
        if (response.headers.get('x-cache') !== 'hit') misses += 1
        await response.arrayBuffer()
      }
      return misses
    },
    { what: 'every read to be a hit', until: (misses) => misses === 0 },
  )
}

function bareGet({ redis }: EmbeddedSystem, ids: readonly string[]): (index: number) => Promise<void> {
  const keys = ids.map(entityKey)
  return async (index) => {
    const text = await redis.get(keys[index % keys.length] ?? '')
    if (text === null) throw new Error('a key that every lane reads is gone')
  }
}

async function readerAlone(
  scope: TestScope,
  { redis, sql }: EmbeddedSystem,
  ids: readonly string[],
): Promise<(index: number) => Promise<void>> {
  const cache = openSystemCache({ redis, sql, log: SILENT }, { views: compileViews(config.views) })
  defer(scope, () => cache.close())
  const { reader } = cache
  await waitFor(() => reader.isRedisTrusted(), { what: 'the reader to trust Redis' })
  return async (index) => {
    const { source } = await reader.get(orderEntity, { id: ids[index % ids.length] ?? '' })
    if (source !== 'hit') throw new Error(`a read was a ${source}`)
  }
}
