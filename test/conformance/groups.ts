/** Sets of Debezium's properties: one connector and one tail each, all on one database. Together they name every mode. */
import type { ConnectionTarget } from '../../src/runtime/connection-target.ts'
import { PROPERTY_NAMES } from '../../src/change/debezium/options.ts'
import { CONNECTOR_PROPERTIES, tableExpression } from '../../src/roles/connector/connector-properties.ts'
import type { Properties } from '../../src/roles/stack/properties.ts'
import config from '../../trackops.config.ts'
import type { Case, GroupName } from './case.ts'

export interface Group {
  readonly name: GroupName
  readonly properties: Properties
  /** What `trackops connector` registers, and over it the properties. */
  readonly isRegistered?: boolean
}

/** Written to at the end of each step, and last in the order of the snapshot. */
export const MARKER_TABLE = 'zz.marker'

export const GROUPS: readonly Group[] = [
  {
    name: 'defaults',
    properties: { 'skipped.operations': 'none', 'snapshot.mode': 'initial' },
  },
  { name: 'registered', isRegistered: true, properties: {} },
  {
    name: 'double',
    properties: {
      'decimal.handling.mode': 'double',
      'time.precision.mode': 'connect',
      'interval.handling.mode': 'string',
      'binary.handling.mode': 'base64',
      'hstore.handling.mode': 'map',
      'include.unknown.datatypes': 'true',
      'provide.transaction.metadata': 'true',
      'tombstones.on.delete': 'false',
      'skipped.operations': 't',
    },
  },
  {
    name: 'iso',
    properties: {
      'time.precision.mode': 'isostring',
      'binary.handling.mode': 'base64-url-safe',
      'money.fraction.digits': '1',
      'unavailable.value.placeholder': 'nicht übertragen',
      'heartbeat.interval.ms': '500',
      'skipped.operations': 'none',
      'topic.delimiter': '_',
    },
  },
  {
    name: 'nanoseconds',
    properties: {
      'decimal.handling.mode': 'string',
      'time.precision.mode': 'nanoseconds',
      'binary.handling.mode': 'hex',
      'include.unknown.datatypes': 'true',
      'value.converter.replace.null.with.default': 'false',
      'key.converter.replace.null.with.default': 'false',
      'extended.headers.enabled': 'false',
      'field.name.adjustment.mode': 'avro',
      'message.key.columns': 'filters.keyed:b,a;filters.keyed_default:b',
      'column.exclude.list': 'filters.columns.hidden,filters.columns.id',
      'column.mask.with.5.chars': 'filters.columns.(masked.*|amount)',
      'column.mask.with.0.chars': 'filters.columns.emptied',
      'column.mask.hash.SHA-256.with.salt.CzQMA0cB5K': 'filters.columns.hash.*',
      'column.mask.hash.v2.SHA-256.with.salt.CzQMA0cB5K': 'filters.columns.v2_hash.*',
      'column.truncate.to.3.chars': 'filters.columns.cut.*',
      'skip.messages.without.change': 'true',
      'skipped.operations': 'none',
    },
  },
  {
    name: 'with-schemas',
    properties: {
      'time.precision.mode': 'adaptive_time_microseconds',
      'include.unknown.datatypes': 'true',
      'key.converter.schemas.enable': 'true',
      'value.converter.schemas.enable': 'true',
      'column.include.list': '(?!filters).*,filters[.]some[.](a|c)',
    },
  },
]

const CONNECTOR: Properties = {
  'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
  'tasks.max': '1',
  'plugin.name': 'pgoutput',
  'publication.autocreate.mode': 'filtered',
  'poll.interval.ms': '20',
  'producer.override.max.request.size': String(16 * 1024 * 1024),
  'topic.creation.default.replication.factor': '1',
  'topic.creation.default.partitions': '1',
  'topic.creation.default.max.message.bytes': String(16 * 1024 * 1024),
  'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
  'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
  'key.converter.schemas.enable': 'false',
  'value.converter.schemas.enable': 'false',
}

/** `prefix` also names slot and publication. */
export function connectorOf(
  group: Group,
  prefix: string,
  database: ConnectionTarget,
  cases: readonly Case[],
): Properties {
  const tables = [...cases.flatMap((one) => one.tables[group.name] ?? []), MARKER_TABLE]
  const later = cases.filter((one) => one.tables[group.name]).flatMap((one) => one.later ?? [])
  if (group.isRegistered) {
    const source = { ...config.source, slot: prefix, publication: prefix, topicPrefix: prefix }
    const facts = { source, tables, database, password: database.password, partitions: 1, replicationFactor: 1 }
    const entries = CONNECTOR_PROPERTIES.map(({ name, value }) => [name, value(facts)] as const)
    const registered = Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null))
    const list = [registered['table.include.list'] ?? '', ...later].join(',')
    return { ...registered, 'table.include.list': list }
  }
  return {
    ...CONNECTOR,
    'database.hostname': database.host,
    'database.port': String(database.port),
    'database.user': database.user,
    'database.password': database.password,
    'database.dbname': database.database,
    'topic.prefix': prefix,
    'slot.name': prefix,
    'publication.name': prefix,
    'table.include.list': [...tables.map(tableExpression), ...later].join(','),
    ...group.properties,
  }
}

/** The same for `trackops tail`, but for what only says where and how a connector runs, or what it has no form for. */
export function tailPairs(connector: Properties): readonly string[] {
  return Object.entries(connector)
    .filter(([name]) => PROPERTY_NAMES.includes(name) || name.startsWith('column.'))
    .map(([name, value]) => (name === 'snapshot.mode' ? `${name}=initial` : `${name}=${value}`))
}
