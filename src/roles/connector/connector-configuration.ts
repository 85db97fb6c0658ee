import { compileViews } from '../../cache/compiled-view.ts'
import { parseDatabaseUrl } from '../../runtime/connection-target.ts'
import { TrackOpsError } from '../../runtime/errors.ts'
import type { TrackOpsConfig } from '../define-config.ts'
import { byTable, requirementsOf } from '../preflight/requirements.ts'
import { CONNECTOR_PROPERTIES, topicPrefixOf } from './connector-properties.ts'

/** As `POST /connectors` of Kafka Connect takes it; `PUT /connectors/<name>/config` takes `config`. */
export interface ConnectorConfiguration {
  readonly name: string
  readonly config: Readonly<Record<string, string>>
}

export interface ConnectorOptions {
  readonly databaseUrl: string
  /** In place of the URL's password: `${env:NAME}`, or whatever the worker's config providers know. */
  readonly passwordReference?: string | undefined
  readonly partitions?: number | undefined
  readonly replicationFactor?: number | undefined
}

export const DEFAULT_PARTITIONS = 12
const BROKER_DEFAULT = -1

/** For the worker's `EnvVarConfigProvider`. */
export const PASSWORD_REFERENCE = '${env:TRACKOPS_CAPTURE_PASSWORD}'

/** Pure: the connector that fits what the configuration declares. @throws TrackOpsError CONFIG_INVALID */
export function connectorConfiguration(config: TrackOpsConfig, options: ConnectorOptions): ConnectorConfiguration {
  const database = parseDatabaseUrl(options.databaseUrl)
  if (database.host.startsWith('/'))
    throw new TrackOpsError(
      'CONFIG_INVALID',
      'the database URL names a unix socket, which Kafka Connect cannot use: give host and port.',
    )
  const facts = {
    source: config.source,
    tables: capturedTables(config),
    database,
    password: options.passwordReference ?? database.password,
    partitions: options.partitions ?? DEFAULT_PARTITIONS,
    replicationFactor: options.replicationFactor ?? BROKER_DEFAULT,
  }
  const entries = CONNECTOR_PROPERTIES.flatMap(({ name, value }): [string, string][] => {
    const text = value(facts)
    return text === null ? [] : [[name, text]]
  })
  return { name: topicPrefixOf(config.source), config: Object.fromEntries(entries) }
}

/** The tables of views and events, in the order of the configuration. */
export function capturedTables(config: TrackOpsConfig): readonly string[] {
  return [...byTable(requirementsOf(config, compileViews(config.views))).keys()]
}
