/** How an application reads: through TrackOps, and through the cache-aside that it would have written itself. */
import config from '../../trackops.config.ts'
import { orderEntity } from '../../app/views.ts'
import { compileViews } from '../../src/cache/compiled-view.ts'
import { followPartitions } from '../../src/roles/distributed/follow-partitions.ts'
import { createKafkaClients } from '../../src/roles/kafka-clients.ts'
import { connectRedis, createRedisClient } from '../../src/roles/redis-client.ts'
import { openSystemCache } from '../../src/roles/system-cache.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import { defer, type TestScope } from '../../test/support/defer.ts'
import { createCacheAside } from '../rivals/cache-aside.ts'
import type { Contestant } from './contestants.ts'
import type { Servers } from './servers.ts'
import type { ReadOrder } from './staleness.ts'

export async function ourReader(scope: TestScope, servers: Servers, { redisServer }: Contestant): Promise<ReadOrder> {
  const clients = createKafkaClients({ brokers: servers.brokers })
  const partitions = followPartitions({ clients, log: SILENT }, config)
  defer(scope, () => partitions.close())
  const redis = createRedisClient(redisServer.url, { name: 'bench-readers', log: SILENT })
  await connectRedis(redis, redisServer.url)
  defer(scope, () => redis.destroy())
  const views = compileViews(config.views)
  const cache = openSystemCache({ redis, sql: servers.sql, log: SILENT }, { views, partitions: partitions.names })
  defer(scope, () => cache.close())
  return async (id) => (await cache.reader.get(orderEntity, { id })).value
}

export function rivalReader(servers: Servers, { redis }: Contestant): ReadOrder {
  return createCacheAside({ redis, sql: servers.sql })
}
