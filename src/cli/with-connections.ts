import { type Connections, openConnections, serverUrls } from '../roles/connections.ts'
import { kafkaConnectionOf } from '../roles/kafka-connection.ts'
import { loadConfig } from '../roles/load-config.ts'
import { createLogger } from '../runtime/logger.ts'
import { readSettings } from '../runtime/settings.ts'
import { configFile } from './config-file.ts'
import type { CliIo } from './io.ts'

/** For commands that look at the database and Redis of this system and go again. */
export async function withConnections<T>(io: CliIo, work: (connections: Connections) => Promise<T>): Promise<T> {
  const settings = readSettings(io.env)
  const loaded = await loadConfig(configFile(io))
  const urls = serverUrls(loaded, io.env, { postgres: settings.postgresPort, redis: settings.redisPort })
  const connections = await openConnections(
    loaded,
    urls,
    createLogger(settings.logLevel === 'debug' ? 'debug' : 'error'),
    kafkaConnectionOf(settings),
  )
  try {
    return await work(connections)
  } finally {
    await connections.close()
  }
}
