import { parseArgs } from 'node:util'

import type { Sql } from 'postgres'

import { connectPostgres, databaseUrl } from '../roles/connections.ts'
import { type ConnectApi, connectApi, type ConnectorStatus } from '../roles/connector/connect-api.ts'
import {
  connectorConfiguration,
  type ConnectorConfiguration,
  DEFAULT_PARTITIONS,
  PASSWORD_REFERENCE,
} from '../roles/connector/connector-configuration.ts'
import { registerConnector } from '../roles/connector/register-connector.ts'
import { loadConfig } from '../roles/load-config.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { readSettings } from '../runtime/settings.ts'
import { configFile } from './config-file.ts'
import type { CliIo } from './io.ts'

export const CONNECTOR_USAGE = `trackops connector [--register URL] [--json]

Prints the Debezium connector that fits the declared views and events, as POST /connectors of Kafka Connect takes it; docs/connector.md
says why each property is what it is. The database is that of TRACKOPS_CAPTURE_DATABASE_URL, else the source.

  --register URL             installs it in the Kafka Connect at URL, or changes it, and waits until it runs. The same again changes
                             nothing; a task that has failed is started anew
  --partitions N             of the topics that it makes; default ${DEFAULT_PARTITIONS}
  --replication-factor N     likewise; default: the broker's own
  --password-reference REF   in place of the password, for a config provider of the worker. Default: printed, ${PASSWORD_REFERENCE};
                             registered, the password itself, which Kafka Connect then keeps and shows
  --json                     with --register, too, one JSON document
  --help

Exit status: 0, 1 if the connector does not run, 2 bad usage.
`

export async function connector(argv: string[], io: CliIo): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      register: { type: 'string' },
      partitions: { type: 'string', default: String(DEFAULT_PARTITIONS) },
      'replication-factor': { type: 'string' },
      'password-reference': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    io.stdout.write(CONNECTOR_USAGE)
    return 0
  }
  const partitions = count('--partitions', values.partitions)
  const factor = values['replication-factor']
  const replicationFactor = factor === undefined ? undefined : count('--replication-factor', factor)
  const settings = readSettings(io.env)
  const { config } = await loadConfig(configFile(io))
  const seen = databaseUrl(config.source, io.env, settings.postgresPort).url
  const options = { databaseUrl: settings.captureDatabaseUrl ?? seen, partitions, replicationFactor }
  const reference = values['password-reference']
  if (values.register === undefined) {
    const passwordReference = reference ?? PASSWORD_REFERENCE
    io.stdout.write(`${JSON.stringify(connectorConfiguration(config, { ...options, passwordReference }), null, 2)}\n`)
    io.stderr.write(
      `The password is not printed: ${passwordReference} is for a config provider of the worker (docs/connector.md says how).\n` +
        'trackops preflight says which tables need REPLICA IDENTITY FULL; deploy/sql/capture-role.sql makes the role.\n',
    )
    return 0
  }
  const api = connectApi(values.register, { signal: io.signal })
  const configuration = connectorConfiguration(config, { ...options, passwordReference: reference })
  const { name } = configuration
  const status = await register(api, configuration, seen, io)
  io.stdout.write(
    values.json
      ? `${JSON.stringify({ name, url: api.url, ...status }, null, 2)}\n`
      : `connector ${name} runs at ${api.url}: ${configuration.config['table.include.list']?.split(',').length} tables, topics ${name}.*\n`,
  )
  return 0
}

/** With the database's word for it, where it can be reached from here. */
async function register(
  api: ConnectApi,
  configuration: ConnectorConfiguration,
  sourceUrl: string,
  { signal, stderr }: CliIo,
): Promise<ConnectorStatus> {
  let sql: Sql
  try {
    sql = await connectPostgres(sourceUrl, { applicationName: 'trackops connector', maxConnections: 1 })
  } catch {
    stderr.write('The source database cannot be reached from here, so Kafka Connect is believed.\n')
    return await registerConnector(api, configuration, { signal })
  }
  const slot = configuration.config['slot.name'] ?? ''
  try {
    const isSlotRead = async (): Promise<boolean> => {
      const [row] = await sql<{ active: boolean }[]>`select active from pg_replication_slots where slot_name = ${slot}`
      return row?.active === true
    }
    return await registerConnector(api, configuration, { signal, isSlotRead })
  } finally {
    await sql.end({ timeout: 1 })
  }
}

function count(option: string, text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text))
    throw new TrackOpsError(
      'USAGE',
      `connector: ${option} wants a number from 1 to 99999, not ${JSON.stringify(text)}.`,
    )
  return Number(text)
}
