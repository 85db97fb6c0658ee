import { ensureTopic } from '../../log/kafka/topics.ts'
import { connectPostgres } from '../connections.ts'
import { connectApi } from '../connector/connect-api.ts'
import { capturedTables, connectorConfiguration } from '../connector/connector-configuration.ts'
import { registerConnector } from '../connector/register-connector.ts'
import type { TrackOpsConfig } from '../define-config.ts'
import { createKafkaClients, type KafkaConnection } from '../kafka-clients.ts'
import { readSlot } from '../status.ts'
import { changeTopics } from './change-topics.ts'

export interface InstallOptions {
  readonly config: TrackOpsConfig
  readonly kafka: KafkaConnection
  readonly connectUrl: string
  /** As we reach the source. Its tables must be there. */
  readonly sourceUrl: string
  /** As Kafka Connect reaches it; default: as we do. */
  readonly captureUrl?: string | undefined
  readonly partitions?: number
  /** In place of what the connector would be told. */
  readonly properties?: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

const TOPIC_DEFAULTS = 'topic.creation.default.'

/**
 * The connector, and its topics before it: a consumer group can begin on them before the first record is there.
 *
 * @throws TrackOpsError CONNECT_..., CONNECTOR_FAILED, KAFKA_..., POSTGRES_...
 */
export async function installConnector(options: InstallOptions): Promise<void> {
  const { config, sourceUrl, signal } = options
  const databaseUrl = options.captureUrl ?? sourceUrl
  const fitting = connectorConfiguration(config, { databaseUrl, partitions: options.partitions })
  const connector = { ...fitting, config: { ...fitting.config, ...options.properties } }
  await makeTopics(options, connector.config)
  const sql = await connectPostgres(sourceUrl, { applicationName: 'trackops connector', maxConnections: 1 })
  try {
    await registerConnector(connectApi(options.connectUrl, { signal }), connector, {
      signal,
      isSlotRead: async () => (await readSlot(sql, config.source.slot))?.isActive ?? false,
    })
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** As the connector would make them. */
async function makeTopics(
  { config, kafka }: InstallOptions,
  properties: Readonly<Record<string, string>>,
): Promise<void> {
  const settings = new Map(
    Object.entries(properties)
      .filter(([name]) => name.startsWith(TOPIC_DEFAULTS))
      .map(([name, value]) => [name.slice(TOPIC_DEFAULTS.length), value]),
  )
  const partitions = Number(settings.get('partitions'))
  for (const argument of ['partitions', 'replication.factor']) settings.delete(argument)
  const clients = createKafkaClients(kafka)
  for (const { topic } of changeTopics(config, capturedTables(config)))
    await ensureTopic(clients, topic, partitions, Object.fromEntries(settings))
}
