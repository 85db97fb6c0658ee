/**
 * The order service's reads in a process of their own, and beside them on the same server: a route that answers a constant, and one that asks
 * the database. Tells its parent the port, and ends with it.
 */
import type { AddressInfo } from 'node:net'

import { Registry } from 'prom-client'

import config from '../../trackops.config.ts'
import { FreshHeaders, OrderIdParams } from '../../app/http/fields.ts'
import { createHttpServer } from '../../app/http/server.ts'
import { readOrder } from '../../app/order-service/order-store.ts'
import { orderNotFound, readRoutes } from '../../app/order-service/read-routes.ts'
import { compileViews } from '../../src/cache/compiled-view.ts'
import { connectRedis, createRedisClient } from '../../src/roles/redis-client.ts'
import { openSystemCache } from '../../src/roles/system-cache.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { DATABASE_PATH, STATIC_PATH } from './routes.ts'

const [databaseUrl = '', redisUrl = '', sampleId = ''] = process.argv.slice(2)
process.once('disconnect', () => process.exit(0))

const sql = createPostgresPool(databaseUrl, { applicationName: 'bench-reads' })
const redis = createRedisClient(redisUrl, { name: 'bench-reads', log: SILENT })
await connectRedis(redis, redisUrl)
const { reader } = openSystemCache({ redis, sql, log: SILENT }, { views: compileViews(config.views) })
const app = await createHttpServer(
  { log: SILENT, metrics: new Registry() },
  { name: 'bench', title: 'Reads', description: 'Of the order service, and what they are measured beside.' },
)
readRoutes(app, { cache: reader })

/** As large as the others' answers: it is one of them. */
const constant = await readOrder(sql, sampleId)
app.get(STATIC_PATH, () => constant)

app.get(`${DATABASE_PATH}/:id`, { schema: { params: OrderIdParams, headers: FreshHeaders } }, async ({ params }) => {
  const order = await readOrder(sql, params.id)
  if (!order) throw orderNotFound(params.id)
  return order
})

await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.({ port: (app.server.address() as AddressInfo).port })
