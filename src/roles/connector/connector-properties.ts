/** Every property of the Debezium connector that TrackOps sets, once: its value, and why. docs/connector.md is made from this table. */
import type { ConnectionTarget } from '../../runtime/connection-target.ts'
import type { SourceConfig } from '../define-config.ts'

export interface ConnectorFacts {
  readonly source: SourceConfig
  /** Of views and events, `schema.table`. */
  readonly tables: readonly string[]
  /** As Kafka Connect reaches it. */
  readonly database: ConnectionTarget
  /** The password itself, or a reference that the worker resolves. */
  readonly password: string
  readonly partitions: number
  /** -1: the broker's own default. */
  readonly replicationFactor: number
}

export interface ConnectorProperty {
  readonly name: string
  /** Null: left out. */
  readonly value: (facts: ConnectorFacts) => string | null
  readonly why: string
}

/** Also names the connector. The topic of a table is `<prefix>.<schema>.<table>`. */
export function topicPrefixOf(source: SourceConfig): string {
  return source.topicPrefix ?? source.slot
}

/** Marks what the heartbeat writes into the WAL. */
export const HEARTBEAT_PREFIX = 'trackops-heartbeat'
export const HEARTBEAT_QUERY = `select pg_logical_emit_message(false, '${HEARTBEAT_PREFIX}', '')`

const JSON_CONVERTER = 'org.apache.kafka.connect.json.JsonConverter'
const MAX_RECORD_BYTES = 16 * 1024 * 1024
const MAX_QUEUE_BYTES = 64 * 1024 * 1024

export const CONNECTOR_PROPERTIES: readonly ConnectorProperty[] = [
  fixed(
    'connector.class',
    'io.debezium.connector.postgresql.PostgresConnector',
    'The connector itself; written and tried with 3.6.1.',
  ),
  fixed('tasks.max', '1', 'One slot has one reader, so that there is one order.'),
  of('database.hostname', ({ database }) => database.host, 'As Kafka Connect reaches it.'),
  of('database.port', ({ database }) => String(database.port), 'Likewise.'),
  of(
    'database.user',
    ({ database }) => database.user,
    '`deploy/sql/capture-role.sql` makes one that may do this and no more.',
  ),
  of(
    'database.password',
    ({ password }) => password,
    'Printed as a reference that the worker resolves. A password that is sent stands in a topic of Kafka Connect, and its API shows it.',
  ),
  of('database.dbname', ({ database }) => database.database, 'The source database.'),
  of('database.sslmode', ({ database }) => database.sslMode, "`sslmode` of the database's URL."),
  of(
    'database.sslrootcert',
    ({ database }) => database.rootCertificatePath,
    "`sslrootcert` of the database's URL, a file of the worker's machine; left out where the URL has none.",
  ),
  of(
    'topic.prefix',
    ({ source }) => topicPrefixOf(source),
    '`source.topicPrefix`, by default the name of the slot. The consumers read `<prefix>.<schema>.<table>`.',
  ),
  fixed('plugin.name', 'pgoutput', 'It is part of PostgreSQL; the default, decoderbufs, has to be installed.'),
  of('slot.name', ({ source }) => source.slot, '`source.slot`, which preflight and status look at.'),
  fixed('slot.drop.on.stop', 'false', 'A stopped connector must find what happened meanwhile.'),
  fixed(
    'slot.failover',
    'true',
    'From PostgreSQL 17 on the slot can follow to a standby; before, it means nothing. A slot that did not follow is a forgotten cache.',
  ),
  of('publication.name', ({ source }) => source.publication, '`source.publication`.'),
  fixed(
    'publication.autocreate.mode',
    'filtered',
    "Only the tables of views and events. Where the owner has made the publication with these very tables, the connector leaves it alone and needs no owner's rights.",
  ),
  fixed(
    'publish.via.partition.root',
    'true',
    'Views name the partitioned table, not its partitions. No effect on other tables.',
  ),
  of(
    'table.include.list',
    ({ tables }) => tables.map(tableExpression).join(','),
    'The tables of views and events, as anchored expressions in which a dot is a dot.',
  ),
  fixed(
    'snapshot.mode',
    'when_needed',
    'A lost slot gives a new snapshot, by which the consumers know that history is broken. With `initial` the task stops until somebody comes.',
  ),
  fixed(
    'skipped.operations',
    'none',
    'By default TRUNCATE is left out: the cache would go on to serve what is no longer there.',
  ),
  fixed(
    'tombstones.on.delete',
    'true',
    'The default. Consumers pass over them; compacted copies of a topic need them.',
  ),
  fixed(
    'decimal.handling.mode',
    'string',
    "PostgreSQL's own text. `precise` writes NaN and an unsent long numeric as null and drops trailing zeros, `double` loses digits.",
  ),
  fixed(
    'time.precision.mode',
    'microseconds',
    'One unit whatever the precision of the column. With `adaptive` it depends on it, so a changed column reads wrongly by a factor of 1000; `connect` cuts to milliseconds.',
  ),
  fixed(
    'interval.handling.mode',
    'string',
    'The numeric form turns months into days of 30.4375, and there is no way back.',
  ),
  fixed(
    'binary.handling.mode',
    'hex',
    'As PostgreSQL writes it, and no value looks like the placeholder for one that was not sent; both base64 modes write null for it.',
  ),
  fixed('hstore.handling.mode', 'json', 'The default: one string, which can hold any key.'),
  fixed(
    'unavailable.value.placeholder',
    '__debezium_unavailable_value',
    'The default. Consumers know by it that a long value was not sent, and ask the database.',
  ),
  fixed(
    'include.unknown.datatypes',
    'false',
    "A column that is left out is noticed, and its row is read from the database. Included, it would be Java's text of it: `(10.0,20.0)` for `(10,20)`.",
  ),
  fixed('provide.transaction.metadata', 'false', 'Nobody reads it, and it doubles the records of small transactions.'),
  fixed(
    'message.prefix.exclude.list',
    '.*',
    'Logical messages are not row changes, and may be anything that an application writes.',
  ),
  fixed(
    'heartbeat.interval.ms',
    '1000',
    'Without it an idle system confirms nothing: the slot retains the WAL of every other table and database, and nobody can tell how far the topics are.',
  ),
  fixed(
    'heartbeat.action.query',
    HEARTBEAT_QUERY,
    'Where nobody writes there is nothing to confirm. A message in the WAL needs no table, no right to write, no place in the publication; it is passed over by the line above, and its position is confirmed.',
  ),
  fixed('poll.interval.ms', '20', 'The default, 500, is what the cache would lag behind by.'),
  fixed(
    'max.queue.size.in.bytes',
    String(MAX_QUEUE_BYTES),
    'By default only the number of rows is bounded, and rows can be large.',
  ),
  fixed('key.converter', JSON_CONVERTER, "Said here, so that the worker's default does not matter."),
  fixed(
    'key.converter.schemas.enable',
    'false',
    'The schema would be the larger part of each record. Consumers read both.',
  ),
  fixed('key.converter.replace.null.with.default', 'false', 'As for values.'),
  fixed('value.converter', JSON_CONVERTER, "Said here, so that the worker's default does not matter."),
  fixed('value.converter.schemas.enable', 'false', 'As for keys.'),
  fixed(
    'value.converter.replace.null.with.default',
    'false',
    "By default a NULL is written as the column's default, and nobody can tell that it was NULL (L5).",
  ),
  of(
    'topic.creation.default.partitions',
    ({ partitions }) => String(partitions),
    '`--partitions`. The default partitioner goes by key, so the changes of a row stay in order.',
  ),
  of(
    'topic.creation.default.replication.factor',
    ({ replicationFactor }) => String(replicationFactor),
    "`--replication-factor`; -1 is the broker's default.",
  ),
  fixed(
    'topic.creation.default.cleanup.policy',
    'delete',
    'Compaction removes states, and each can be the only sign of a domain event.',
  ),
  fixed(
    'topic.creation.default.max.message.bytes',
    String(MAX_RECORD_BYTES),
    'A record has the old row and the new one; 1 MiB is soon reached.',
  ),
  fixed('topic.creation.groups', 'heartbeat', 'Heartbeats are always in partition 0.'),
  of(
    'topic.creation.heartbeat.include',
    ({ source }) => `__debezium-heartbeat\\.${escaped(topicPrefixOf(source))}`,
    'Likewise.',
  ),
  fixed('topic.creation.heartbeat.partitions', '1', 'Likewise.'),
  fixed(
    'producer.override.acks',
    'all',
    'A position is confirmed to PostgreSQL once every replica in sync has the record.',
  ),
  fixed('producer.override.enable.idempotence', 'true', 'A retry neither repeats a record nor overtakes one.'),
  fixed('producer.override.max.request.size', String(MAX_RECORD_BYTES), "As the topic's limit."),
  fixed(
    'errors.tolerance',
    'none',
    'A record that cannot be written stops the task. Passed over, it would be a change that never happened.',
  ),
  fixed('errors.log.include.messages', 'false', 'Rows do not belong in logs.'),
  fixed('event.processing.failure.handling.mode', 'fail', 'The default, for the same reason as `errors.tolerance`.'),
]

/** Anchored by Debezium, divided at commas: everything that is not a plain letter is escaped, a comma in a name as any character. */
export function tableExpression(table: string): string {
  return escaped(table).replaceAll(',', '.')
}

function escaped(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}_,-]/gu, String.raw`\$&`)
}

function fixed(name: string, value: string, why: string): ConnectorProperty {
  return { name, value: () => value, why }
}

function of(name: string, value: ConnectorProperty['value'], why: string): ConnectorProperty {
  return { name, value, why }
}
