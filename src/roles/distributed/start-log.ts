import { ensureTopic } from '../../log/kafka/topics.ts'
import { TrackOpsError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'
import { connectPostgres } from '../connections.ts'
import { connectApi } from '../connector/connect-api.ts'
import { capturedTables, connectorConfiguration } from '../connector/connector-configuration.ts'
import { registerConnector } from '../connector/register-connector.ts'
import type { DataDirectory } from '../embedded/data-directory.ts'
import { createKafkaClients, type KafkaConnection } from '../kafka-clients.ts'
import { resetStack, startStack, stackDirectory } from '../stack/start-stack.ts'
import { readSlot } from '../status.ts'
import type { UpOptions } from '../up.ts'
import { changeTopics } from './change-topics.ts'

/** What stands between database and consumers, as far as `trackops up` looks after it. */
export interface StartedLog {
  readonly kafka: KafkaConnection | undefined
  /** What was started, for people. */
  readonly started: readonly { readonly name: string; readonly url: string }[]
  /** Installs the connector, once the tables are there. */
  connect(sourceUrl: string): Promise<void>
  stop(): Promise<void>
}

/** Embedded: the WAL itself. */
export const NO_LOG: StartedLog = {
  kafka: undefined,
  started: [],
  connect: () => Promise.resolve(),
  stop: () => Promise.resolve(),
}

const TOPIC_DEFAULTS = 'topic.creation.default.'

/** Kafka and Kafka Connect of our own, or the given ones; topics that the consumers can begin on before the first record. */
export async function startLog(log: Logger, options: UpOptions, dataDirectory: DataDirectory): Promise<StartedLog> {
  const { loaded, env, signal } = options
  const { config } = loaded
  const directory = stackDirectory(dataDirectory.path)
  if (!options.kafka && options.isReset) await resetStack(directory)
  const stack = options.kafka
    ? null
    : await startStack(log, {
        directory,
        ports: {
          kafka: options.ports.kafka,
          controller: options.ports.kafkaController,
          connect: options.ports.connect,
        },
        env,
        cacheDirectory: options.cacheDirectory,
        say: options.complain,
        signal,
      })
  const kafka = options.kafka ?? { brokers: stack?.brokers ?? [] }
  const connectUrl = stack?.connectUrl ?? options.kafkaConnectUrl
  const clients = createKafkaClients(kafka)

  async function makeTopics(sourceUrl: string): Promise<void> {
    const properties = connectorConfiguration(config, { databaseUrl: sourceUrl }).config
    const settings = Object.entries(properties).filter(([name]) => name.startsWith(TOPIC_DEFAULTS))
    const byName = new Map(settings.map(([name, value]) => [name.slice(TOPIC_DEFAULTS.length), value]))
    const partitions = Number(byName.get('partitions'))
    for (const own of ['partitions', 'replication.factor']) byName.delete(own)
    for (const { topic } of changeTopics(config, capturedTables(config)))
      await ensureTopic(clients, topic, partitions, Object.fromEntries(byName))
  }

  return {
    kafka,
    started: stack?.endpoints ?? [],
    async connect(sourceUrl) {
      // Somebody else looks after the connector of a cluster that is given without its Kafka Connect.
      if (connectUrl === undefined) return
      await makeTopics(sourceUrl)
      const configuration = connectorConfiguration(config, {
        databaseUrl: options.captureDatabaseUrl ?? sourceUrl,
      })
      const sql = await connectPostgres(sourceUrl, { applicationName: 'trackops connector', maxConnections: 1 })
      try {
        await registerConnector(connectApi(connectUrl, { signal }), configuration, {
          signal,
          isSlotRead: async () => (await readSlot(sql, config.source.slot))?.isActive ?? false,
        })
      } catch (error) {
        if (signal.aborted) return
        throw error instanceof TrackOpsError
          ? error
          : new TrackOpsError('CONNECTOR_FAILED', 'the connector was not installed', { cause: error })
      } finally {
        await sql.end({ timeout: 1 })
      }
    },
    stop: async () => await stack?.stop(),
  }
}
