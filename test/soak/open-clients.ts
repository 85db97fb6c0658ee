/** What the clients of a soak share, over a running system. */
import { createHttpClient } from '../../app/load/http-client.ts'
import { compileViews } from '../../src/cache/compiled-view.ts'
import { createCacheReader } from '../../src/cache/create-cache-reader.ts'
import { connectPostgres } from '../../src/roles/connections.ts'
import { followPartitions } from '../../src/roles/distributed/follow-partitions.ts'
import { createKafkaClients, type KafkaConnection } from '../../src/roles/kafka-clients.ts'
import { connectRedis, createRedisClient } from '../../src/roles/redis-client.ts'
import { openPassed } from '../../src/roles/verify.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import config from '../../trackops.config.ts'
import { defer, type TestScope } from '../support/defer.ts'
import type { UpSite } from '../support/process.ts'
import type { SoakContext } from './context.ts'

const ROOT = new URL('../../', import.meta.url).pathname

/** The checker orders a row's answers by their stamps, and a machine's clock may be set back. In the place of app/migrations/orders. */
const STAMP_THAT_NEVER_GOES_BACK = `
  create or replace function orders_stamp() returns trigger language plpgsql as $$
  begin
    new.version := old.version + 1;
    new.updated_at := greatest(clock_timestamp(), old.updated_at + interval '1 microsecond');
    return new;
  end
  $$`

export async function openClients(
  scope: TestScope,
  site: UpSite,
  kafka: KafkaConnection | undefined,
  rest: Omit<SoakContext, 'sql' | 'redis' | 'http' | 'reader' | 'reached'>,
): Promise<SoakContext> {
  const { source, redis: redisUrl } = site.urls
  const views = compileViews(config.views)
  const sql = await connectPostgres(source, { applicationName: 'soak', maxConnections: 8 })
  defer(scope, () => sql.end({ timeout: 1 }))
  await sql.unsafe(STAMP_THAT_NEVER_GOES_BACK)
  const openRedis = async (name: string) => {
    const client = createRedisClient(redisUrl, { name, log: SILENT })
    await connectRedis(client, redisUrl)
    defer(scope, () => client.destroy())
    return client
  }
  const redis = await openRedis('soak-raw')
  const readerRedis = await openRedis('soak-reader')
  const http = createHttpClient(new URL(site.orderUrl), { maxConnections: 16 })
  defer(scope, () => http.close())
  // As in an application that reads with the SDK and runs no consumers.
  let partitions: (() => readonly string[]) | undefined
  if (kafka) {
    const followed = followPartitions({ clients: createKafkaClients(kafka), log: SILENT }, config)
    defer(scope, () => followed.close())
    partitions = followed.names
  }
  const reader = createCacheReader(
    { redis: readerRedis, sql, log: SILENT },
    { views, ...(partitions ? { partitions } : {}) },
  )
  defer(scope, () => reader.close())
  const loaded = { config, directory: ROOT, file: `${ROOT}trackops.config.ts` }
  const passed = openPassed({ redis, sql, views, ...(kafka ? { kafka, loaded } : {}) })
  defer(scope, () => passed.close())
  return { ...rest, sql, redis, http, reader, reached: passed.reached }
}
