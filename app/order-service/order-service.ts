import { setTimeout as pause } from 'node:timers/promises'

import type { Sql } from 'postgres'

import type { CacheReader, Logger, RunningService, ServiceContext, ServiceDefinition } from '../../src/index.ts'
import { createHttpServer, type HttpServer, listen } from '../http/server.ts'
import { INVENTORY_TOPIC } from '../inventory-events.ts'
import { keepRunning } from '../keep-running.ts'
import { createRoute } from './create-route.ts'
import { purgeOldKeys } from './idempotency.ts'
import { handleInventoryAnswer } from './inventory-answers.ts'
import { readRoutes } from './read-routes.ts'
import { statusRoutes } from './status-routes.ts'

const NAME = 'order-service'
const PORT = { variable: 'TRACKOPS_ORDER_PORT', default: 8081 } as const
const PURGE_INTERVAL_MS = 10 * 60_000

/**
 * Orders over HTTP: writes go to the database, reads come from the cache. It tells Redis nothing: what it writes reaches the cache
 * by way of the change log, like what anybody else writes.
 */
export const orderService: ServiceDefinition = { name: NAME, port: PORT, start }

async function start(context: ServiceContext): Promise<RunningService> {
  const orders = context.database('source')
  const app = await createOrderServer({ ...context, orders })
  const stop = new AbortController()
  const signal = AbortSignal.any([context.signal, stop.signal])
  await listen(app, { host: context.host, port: context.port, service: NAME, variable: PORT.variable })
  const deps = { log: context.log, signal }
  const loops = Promise.all([
    keepRunning(deps, 'inventory answers', () =>
      context.events.consume({
        topic: INVENTORY_TOPIC,
        consumer: NAME,
        store: orders,
        handle: handleInventoryAnswer,
        signal,
      }),
    ),
    keepRunning(deps, 'removal of old idempotency keys', () => purgeNowAndThen(orders, signal)),
  ])
  return {
    close: async () => {
      stop.abort()
      await Promise.all([app.close(), loops])
    },
  }
}

/** Without a port and without loops: what tests talk to by `inject`. */
export async function createOrderServer(deps: {
  readonly log: Logger
  readonly metrics: ServiceContext['metrics']
  readonly orders: Sql
  readonly cache: CacheReader
}): Promise<HttpServer> {
  const app = await createHttpServer(deps, {
    name: NAME,
    title: 'Order service',
    description: 'Orders, read from a cache that is never stale. Errors are problem documents (RFC 9457).',
  })
  createRoute(app, deps)
  readRoutes(app, deps)
  statusRoutes(app, deps)
  await app.ready()
  return app
}

async function purgeNowAndThen(orders: Sql, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const removed = await purgeOldKeys(orders)
    if (removed > 0) continue
    await pause(PURGE_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
  }
}
