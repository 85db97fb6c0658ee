import { TrackOpsError } from '../../runtime/errors.ts'
import { COLUMN_RULE_NAMES, parseColumnRule, type ColumnRule } from './column-rule.ts'
import { parseMessageKeys, type MessageKey } from './message-key.ts'
import { passes, type NameFilter } from './name-filter.ts'
import { badValue, expressions, flag, integer, oneOf, text, type Property } from './property.ts'

/** Another set, even of the same, was asked for: a publication then leaves these operations out. */
export const DEFAULT_SKIPPED: ReadonlySet<string> = new Set(['t'])

/** Debezium's own property names and defaults (debezium-events.md, section 11; 3.6.1). */
const PROPERTIES = {
  topicPrefix: text('topic.prefix', ''),
  topicDelimiter: text('topic.delimiter', '.'),
  topicTransaction: text('topic.transaction', 'transaction'),
  topicHeartbeatPrefix: text('topic.heartbeat.prefix', '__debezium-heartbeat'),
  topicHeartbeatName: text('topic.heartbeat.name', null),
  schemaInclude: expressions('schema.include.list'),
  schemaExclude: expressions('schema.exclude.list'),
  tableInclude: expressions('table.include.list'),
  tableExclude: expressions('table.exclude.list'),
  columnInclude: expressions('column.include.list'),
  columnExclude: expressions('column.exclude.list'),
  messagePrefixInclude: expressions('message.prefix.include.list'),
  messagePrefixExclude: expressions('message.prefix.exclude.list'),
  snapshotMode: oneOf('snapshot.mode', ['initial', 'no_data'], 'initial'),
  snapshotInclude: expressions('snapshot.include.collection.list'),
  decimalHandlingMode: oneOf('decimal.handling.mode', ['precise', 'double', 'string'], 'precise'),
  binaryHandlingMode: oneOf('binary.handling.mode', ['bytes', 'base64', 'base64-url-safe', 'hex'], 'bytes'),
  hstoreHandlingMode: oneOf('hstore.handling.mode', ['json', 'map'], 'json'),
  intervalHandlingMode: oneOf('interval.handling.mode', ['numeric', 'string'], 'numeric'),
  timePrecisionMode: oneOf(
    'time.precision.mode',
    ['adaptive', 'adaptive_time_microseconds', 'connect', 'isostring', 'microseconds', 'nanoseconds'],
    'adaptive',
  ),
  moneyFractionDigits: integer('money.fraction.digits', 2, { min: 0, max: 18 }),
  includeUnknownDatatypes: flag('include.unknown.datatypes', false),
  unavailableValuePlaceholder: text('unavailable.value.placeholder', '__debezium_unavailable_value'),
  tombstonesOnDelete: flag('tombstones.on.delete', true),
  skipMessagesWithoutChange: flag('skip.messages.without.change', false),
  provideTransactionMetadata: flag('provide.transaction.metadata', false),
  publishViaPartitionRoot: flag('publish.via.partition.root', false),
  heartbeatIntervalMs: integer('heartbeat.interval.ms', 0, { min: 0, max: 2_147_483_647 }),
  extendedHeadersEnabled: flag('extended.headers.enabled', true),
  fieldNameAdjustmentMode: oneOf('field.name.adjustment.mode', ['none', 'avro'], 'none'),
  keyReplaceNullWithDefault: flag('key.converter.replace.null.with.default', true),
  valueReplaceNullWithDefault: flag('value.converter.replace.null.with.default', true),
  skippedOperations: skippedOperations(),
} as const satisfies Record<string, Property<unknown>>

type PropertyValues = {
  readonly [K in keyof typeof PROPERTIES]: (typeof PROPERTIES)[K] extends Property<infer T> ? T : never
}

export interface DebeziumOptions extends PropertyValues {
  readonly messageKeys: readonly MessageKey[]
  readonly columnRules: readonly ColumnRule[]
}

/** Accepted with these values alone (null: with any): they mean nothing here, or only what is so anyway. */
const WITHOUT_EFFECT: Readonly<Record<string, readonly string[] | null>> = {
  'connector.class': ['io.debezium.connector.postgresql.PostgresConnector'],
  'plugin.name': ['pgoutput'],
  'key.converter': ['org.apache.kafka.connect.json.JsonConverter'],
  'value.converter': ['org.apache.kafka.connect.json.JsonConverter'],
  'key.converter.schemas.enable': ['false'],
  'value.converter.schemas.enable': ['false'],
  'key.converter.decimal.format': ['BASE64'],
  'value.converter.decimal.format': ['BASE64'],
  'xmin.fetch.interval.ms': ['0'],
  'publication.autocreate.mode': ['all_tables', 'filtered'],
  ...Object.fromEntries(
    [
      'name',
      'tasks.max',
      'slot.name',
      'slot.drop.on.stop',
      'slot.failover',
      'slot.max.retries',
      'slot.retry.delay.ms',
      'publication.name',
      'max.batch.size',
      'max.queue.size',
      'max.queue.size.in.bytes',
      'poll.interval.ms',
      'status.update.interval.ms',
      'snapshot.fetch.size',
      'snapshot.max.threads',
      'snapshot.delay.ms',
      'snapshot.isolation.mode',
      'snapshot.locking.mode',
      'snapshot.lock.timeout.ms',
      'errors.max.retries',
      'retriable.restart.connector.wait.ms',
      'event.processing.failure.handling.mode',
      'schema.refresh.mode',
      'schema.name.adjustment.mode',
      'offset.mismatch.strategy',
      'lsn.flush.mode',
      'lsn.flush.timeout.ms',
      'lsn.flush.timeout.action',
      'database.tcpKeepAlive',
      'database.query.timeout.ms',
    ].map((name) => [name, null]),
  ),
}

/**
 * From `NAME=VALUE` pairs; a name that comes twice takes its last value.
 *
 * @param defaults `topicPrefix`: what Debezium demands, and a reader of events on a terminal needn't give
 * @throws TrackOpsError USAGE naming the property that is unknown or whose value is not allowed
 */
export function parseDebeziumOptions(pairs: readonly string[], defaults: { topicPrefix: string }): DebeziumOptions {
  const given = new Map(pairs.map(splitPair))
  const columnRules: ColumnRule[] = []
  let messageKeys: readonly MessageKey[] = []
  const values: Record<string, unknown> = {}
  const byName = new Map<string, [string, Property<unknown>]>()
  for (const [key, property] of Object.entries<Property<unknown>>(PROPERTIES)) {
    values[key] = property.default
    byName.set(property.name, [key, property])
  }
  values['topicPrefix'] = defaults.topicPrefix

  for (const [name, value] of given) {
    const known = byName.get(name)
    const rule = parseColumnRule(name, value)
    if (known) {
      const [key, property] = known
      values[key] = property.parse(value) ?? fail(badValue(name, property.allowed))
    } else if (rule) columnRules.push(rule)
    else if (name === 'message.key.columns') messageKeys = parseMessageKeys(value)
    else checkWithoutEffect(name, value)
  }
  checkExclusive(given)
  // Each value came out of the property of its own key.
  return { ...(values as unknown as PropertyValues), messageKeys, columnRules }
}

export function isTableCaptured(options: DebeziumOptions, schema: string, table: string): boolean {
  const schemas: NameFilter = { include: options.schemaInclude, exclude: options.schemaExclude }
  const tables: NameFilter = { include: options.tableInclude, exclude: options.tableExclude }
  return passes(schemas, schema) && passes(tables, `${schema}.${table}`)
}

export const PROPERTY_NAMES: readonly string[] = [
  ...Object.values(PROPERTIES).map((property) => property.name),
  'message.key.columns',
  ...COLUMN_RULE_NAMES,
].toSorted()

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=')
  if (at <= 0) throw new TrackOpsError('USAGE', `--set wants NAME=VALUE, but got ${JSON.stringify(pair)}`)
  return [pair.slice(0, at).trim(), pair.slice(at + 1)]
}

function checkWithoutEffect(name: string, value: string): void {
  const allowed = Object.hasOwn(WITHOUT_EFFECT, name) ? WITHOUT_EFFECT[name] : undefined
  if (allowed === undefined) {
    throw new TrackOpsError('USAGE', `unknown property ${name}; known: ${PROPERTY_NAMES.join(', ')}`)
  }
  if (allowed && !allowed.includes(value)) throw badValue(name, `${allowed.join(', ')} (nothing else is supported)`)
}

const EXCLUSIVE = ['schema', 'table', 'column', 'message.prefix']

function checkExclusive(given: ReadonlyMap<string, string>): void {
  for (const kind of EXCLUSIVE) {
    if (given.has(`${kind}.include.list`) && given.has(`${kind}.exclude.list`)) {
      throw new TrackOpsError('USAGE', `${kind}.include.list and ${kind}.exclude.list exclude each other; give one`)
    }
  }
}

function skippedOperations(): Property<ReadonlySet<string>> {
  const parse = (value: string): ReadonlySet<string> | undefined => {
    const letters = value.split(',').map((letter) => letter.trim().toLowerCase())
    if (letters.length === 1 && letters[0] === 'none') return new Set()
    return letters.every((letter) => ['c', 'u', 'd', 't'].includes(letter)) ? new Set(letters) : undefined
  }
  return {
    name: 'skipped.operations',
    default: DEFAULT_SKIPPED,
    parse,
    allowed: 'none, or c, u, d, t with commas between them',
  }
}

function fail(error: Error): never {
  throw error
}
