import type { Sql } from 'postgres'

import {
  type Logger,
  type RunningService,
  type ServiceContext,
  type ServiceDefinition,
  TrackOpsError,
} from '../../src/index.ts'
import { createHttpServer, type HttpServer, listen } from '../http/server.ts'
import { keepRunning } from '../keep-running.ts'
import { ORDER_TOPIC } from '../order-events.ts'
import { inventoryRoutes } from './inventory-routes.ts'
import { createOrderEventHandler } from './order-event-handler.ts'
import { reservationRoutes } from './reservation-routes.ts'

const NAME = 'inventory-service'
const PORT = { variable: 'TRACKOPS_INVENTORY_PORT', default: 8082 } as const

export interface InventoryOptions {
  /** Pieces of a product that nobody stocked. */
  readonly defaultStock: number
}

/** So many that trying the system out does not end in rejections, and still a number that a person can read. */
const DEFAULT_STOCK = 1_000_000

/** From TRACKOPS_DEFAULT_STOCK. @throws TrackOpsError CONFIG_INVALID */
export function defaultStockOf(setting: string | undefined): number {
  if (setting === undefined || setting === '') return DEFAULT_STOCK
  const pieces = /^\d{1,10}$/.test(setting) ? Number(setting) : Number.NaN
  if (pieces <= 2_147_483_647) return pieces
  throw new TrackOpsError('CONFIG_INVALID', 'TRACKOPS_DEFAULT_STOCK must be a whole number from 0 to 2147483647')
}

/** Stock and reservations over HTTP; follows the orders by their events alone, in a database of its own. */
export function inventoryService(options: InventoryOptions): ServiceDefinition {
  return { name: NAME, port: PORT, start: (context) => start(context, options) }
}

async function start(context: ServiceContext, options: InventoryOptions): Promise<RunningService> {
  const inventory = context.database('inventory')
  const app = await createInventoryServer({ ...context, inventory }, options)
  const stop = new AbortController()
  const signal = AbortSignal.any([context.signal, stop.signal])
  await listen(app, { host: context.host, port: context.port, service: NAME, variable: PORT.variable })
  const deps = { log: context.log, signal }
  const loops = Promise.all([
    keepRunning(deps, 'order events', () =>
      context.events.consume({
        topic: ORDER_TOPIC,
        consumer: NAME,
        store: inventory,
        handle: createOrderEventHandler(options),
        signal,
      }),
    ),
    keepRunning(deps, 'outbox relay', () => context.events.relay({ store: inventory, signal })),
  ])
  return {
    close: async () => {
      stop.abort()
      await Promise.all([app.close(), loops])
    },
  }
}

/** Without a port and without loops: what tests talk to by `inject`. */
export async function createInventoryServer(
  deps: { readonly log: Logger; readonly metrics: ServiceContext['metrics']; readonly inventory: Sql },
  options: InventoryOptions,
): Promise<HttpServer> {
  const app = await createHttpServer(deps, {
    name: NAME,
    title: 'Inventory service',
    description: 'Stock and reservations. Errors are problem documents (RFC 9457).',
  })
  inventoryRoutes(app, deps, options)
  reservationRoutes(app, deps)
  await app.ready()
  return app
}
