/** What the consumers need of each property of a running connector, and what goes wrong where it is otherwise. */
import type { Finding } from './finding.ts'

export interface PropertyRule {
  readonly id: string
  readonly property: string
  /** What Debezium takes where the property is not set; null: nothing. */
  readonly default: string | null
  /** Null: it is well. `ours` is what trackops connector would set. */
  readonly judge: (
    value: string,
    ours: string,
  ) => { readonly severity: Finding['severity']; readonly consequence: string } | null
}

const error = (consequence: string) => ({ severity: 'error', consequence }) as const
const warning = (consequence: string) => ({ severity: 'warning', consequence }) as const

export const PROPERTY_RULES: readonly PropertyRule[] = [
  unless(
    'connector-class',
    'connector.class',
    null,
    error('The consumers read what Debezium writes for PostgreSQL, and nothing else.'),
  ),
  unless(
    'connector-plugin',
    'plugin.name',
    'decoderbufs',
    warning('Only pgoutput is part of PostgreSQL, and only with it have the consumers been tried.'),
  ),
  unless(
    'connector-topic-prefix',
    'topic.prefix',
    null,
    error('Its topics have other names than those that the consumers read: they wait for ever.'),
  ),
  unless(
    'connector-topic-prefix',
    'topic.delimiter',
    '.',
    error('Its topics have other names than those that the consumers read: they wait for ever.'),
  ),
  unless(
    'connector-slot',
    'slot.name',
    'debezium',
    error('preflight and status look at another slot than the one that is read, and miss its loss.'),
  ),
  unless(
    'connector-publication',
    'publication.name',
    'dbz_publication',
    error('preflight looks at another publication than the one that is read: what that one lacks is not noticed.'),
  ),
  rule('connector-operations', 'skipped.operations', 't', (value) => {
    const skipped = value.split(',').map((letter) => letter.trim().toLowerCase())
    if (skipped.some((letter) => ['c', 'u', 'd'].includes(letter)))
      return error('Such changes never arrive: what is cached of their rows stays as it was.')
    return skipped.includes('t')
      ? error('TRUNCATE never arrives: the cache goes on to serve what is no longer there.')
      : null
  }),
  rule('connector-decimals', 'decimal.handling.mode', 'precise', (value) => {
    if (value === 'double') return error('Amounts lose digits on their way: cache and events differ from the database.')
    return value === 'precise'
      ? warning(
          'NaN and a long numeric that was not sent arrive as NULL, and trailing zeros are lost where the column has no scale.',
        )
      : null
  }),
  rule('connector-times', 'time.precision.mode', 'adaptive', (value) => {
    if (value === 'connect') return error('Times are cut to milliseconds: cache and events differ from the database.')
    if (value === 'nanoseconds') return error('A time outside of 1677 to 2262 stops the connector.')
    return value === 'microseconds'
      ? null
      : warning(
          'The unit of a time depends on the precision of its column: changing that makes times wrong by a factor of 1000.',
        )
  }),
  rule('connector-intervals', 'interval.handling.mode', 'numeric', (value) =>
    value === 'string'
      ? null
      : warning('An interval arrives as microseconds, months as 30.4375 days: its text cannot be had back.'),
  ),
  rule('connector-binary', 'binary.handling.mode', 'bytes', (value) =>
    value.startsWith('base64')
      ? error('A long bytea that an update left alone arrives as NULL, and is cached so.')
      : null,
  ),
  unless(
    'connector-placeholder',
    'unavailable.value.placeholder',
    '__debezium_unavailable_value',
    error('A value that was not sent is taken for a value, and cached.'),
  ),
  unless(
    'connector-names',
    'field.name.adjustment.mode',
    'none',
    error('Columns arrive under other names than those that views and events know.'),
  ),
  rule('connector-heartbeat', 'heartbeat.interval.ms', '0', (value) =>
    Number(value) > 0
      ? null
      : warning('While the tables are quiet nothing is confirmed, and the slot retains the WAL of all others.'),
  ),
  rule('connector-heartbeat', 'heartbeat.action.query', '', (value) =>
    value.trim() === ''
      ? warning('While the whole database is quiet nothing is confirmed, and the slot retains the WAL of the server.')
      : null,
  ),
  rule('connector-snapshot-mode', 'snapshot.mode', 'initial', (value) => {
    if (value === 'when_needed') return null
    if (value === 'initial_only') return error('It ends after the snapshot: no change ever arrives.')
    return value === 'always'
      ? warning('Each restart reads all tables, and makes the consumers forget the cache.')
      : warning('When the slot is lost, its task stops until somebody comes; meanwhile the cache grows old.')
  }),
  rule('connector-slot-failover', 'slot.failover', 'false', (value) =>
    value === 'true'
      ? null
      : warning('After a failover of PostgreSQL the slot is gone: the cache is forgotten and warmed again.'),
  ),
  rule('connector-slot-dropped', 'slot.drop.on.stop', 'false', (value) =>
    value === 'true'
      ? error('Each stop drops the slot: changes until the next start are lost, and the cache is forgotten.')
      : null,
  ),
  rule('connector-errors', 'errors.tolerance', 'none', (value) =>
    value === 'all' ? error('A record that cannot be written is passed over: a change that never happened.') : null,
  ),
  rule('connector-errors', 'event.processing.failure.handling.mode', 'fail', (value) =>
    value === 'fail' ? null : error('A change that cannot be decoded is passed over: it never happened.'),
  ),
  rule('connector-order', 'message.key.columns', '', (value) =>
    value === ''
      ? null
      : warning('Order is kept per record key: changes of one row that have different keys can overtake each other.'),
  ),
  unless(
    'connector-compaction',
    'topic.creation.default.cleanup.policy',
    'delete',
    error('Compaction removes states before consumers come by: domain events are missed.'),
  ),
]

function rule(id: string, property: string, fallback: string | null, judge: PropertyRule['judge']): PropertyRule {
  return { id, property, default: fallback, judge }
}

/** Well only as we would set it. */
function unless(
  id: string,
  property: string,
  fallback: string | null,
  verdict: { readonly severity: Finding['severity']; readonly consequence: string },
): PropertyRule {
  return rule(id, property, fallback, (value, ours) => (value === ours ? null : verdict))
}
