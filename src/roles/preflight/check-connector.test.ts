import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type FakeConnector, fakeConnect } from '../connector/connect-fixture.ts'
import { connectorConfiguration } from '../connector/connector-configuration.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { PROPERTY_RULES } from './connector-rules.ts'
import type { Finding } from './finding.ts'
import { itemEvents, itemView, preflightFixture } from './preflight-fixture.ts'

const SHOWS = 'io.debezium.transforms.'

/** What is changed of the right configuration (null: left out), and what is found then. */
const CASES: readonly (readonly [Readonly<Record<string, string | null>>, string, Finding['severity']])[] = [
  [{ 'connector.class': 'io.debezium.connector.mysql.MySqlConnector' }, 'connector-class', 'error'],
  [{ 'plugin.name': null }, 'connector-plugin', 'warning'],
  [{ 'topic.prefix': 'other' }, 'connector-topic-prefix', 'error'],
  [{ 'topic.delimiter': '_' }, 'connector-topic-prefix', 'error'],
  [{ 'slot.name': 'other' }, 'connector-slot', 'error'],
  [{ 'publication.name': null }, 'connector-publication', 'error'],
  [{ 'database.dbname': 'other' }, 'connector-database', 'error'],
  [{ 'skipped.operations': null }, 'connector-operations', 'error'],
  [{ 'skipped.operations': 'u,d' }, 'connector-operations', 'error'],
  [{ 'decimal.handling.mode': 'double' }, 'connector-decimals', 'error'],
  [{ 'decimal.handling.mode': null }, 'connector-decimals', 'warning'],
  [{ 'time.precision.mode': 'connect' }, 'connector-times', 'error'],
  [{ 'time.precision.mode': 'nanoseconds' }, 'connector-times', 'error'],
  [{ 'time.precision.mode': null }, 'connector-times', 'warning'],
  [{ 'interval.handling.mode': null }, 'connector-intervals', 'warning'],
  [{ 'binary.handling.mode': 'base64-url-safe' }, 'connector-binary', 'error'],
  [{ 'unavailable.value.placeholder': '?' }, 'connector-placeholder', 'error'],
  [{ 'field.name.adjustment.mode': 'avro' }, 'connector-names', 'error'],
  [{ 'heartbeat.interval.ms': null }, 'connector-heartbeat', 'warning'],
  [{ 'heartbeat.action.query': null }, 'connector-heartbeat', 'warning'],
  [{ 'snapshot.mode': null }, 'connector-snapshot-mode', 'warning'],
  [{ 'snapshot.mode': 'always' }, 'connector-snapshot-mode', 'warning'],
  [{ 'snapshot.mode': 'initial_only' }, 'connector-snapshot-mode', 'error'],
  [{ 'slot.failover': null }, 'connector-slot-failover', 'warning'],
  [{ 'slot.drop.on.stop': 'true' }, 'connector-slot-dropped', 'error'],
  [{ 'errors.tolerance': 'all' }, 'connector-errors', 'error'],
  [{ 'event.processing.failure.handling.mode': 'warn' }, 'connector-errors', 'error'],
  [{ 'message.key.columns': 'public.items:owner' }, 'connector-order', 'warning'],
  [{ 'topic.creation.default.cleanup.policy': 'compact' }, 'connector-compaction', 'error'],
  [{ transforms: 'u', 'transforms.u.type': `${SHOWS}ExtractNewRecordState` }, 'connector-unwrapped', 'error'],
  [{ transforms: 'r', 'transforms.r.type': `${SHOWS}ByLogicalTableRouter` }, 'connector-renamed-topics', 'error'],
  [
    { transforms: 'r', 'transforms.r.type': 'org.apache.kafka.connect.transforms.RegexRouter' },
    'connector-renamed-topics',
    'error',
  ],
  [
    { transforms: 'f', 'transforms.f.type': 'org.apache.kafka.connect.transforms.Filter' },
    'connector-transform',
    'warning',
  ],
  [{ 'value.converter': null }, 'connector-converter-unknown', 'warning'],
  [{ 'key.converter': 'io.confluent.connect.avro.AvroConverter' }, 'connector-converter', 'error'],
  [{ 'value.converter.replace.null.with.default': null }, 'connector-null-default', 'error'],
  [{ 'key.converter.replace.null.with.default': 'true' }, 'connector-null-default', 'warning'],
  [{ 'table.include.list': 'public.orders' }, 'connector-lacks-table', 'error'],
  [{ 'table.include.list': null, 'table.exclude.list': 'public.*' }, 'connector-lacks-table', 'error'],
  [{ 'table.include.list': 'public.(items' }, 'connector-lists', 'warning'],
  [{ 'column.exclude.list': 'public.items.owner' }, 'connector-lacks-columns', 'error'],
  [{ 'column.mask.with.10.chars': 'public.items.owner' }, 'connector-lacks-columns', 'error'],
  // what else somebody may choose, and nobody is harmed by
  [{ 'value.converter.schemas.enable': 'true', 'key.converter.schemas.enable': null }, '', 'info'],
  [{ 'tombstones.on.delete': 'false', 'provide.transaction.metadata': 'true' }, '', 'info'],
  [{ 'table.include.list': 'public.*', 'binary.handling.mode': null }, '', 'info'],
]

test('of a running connector everything that loses or misleads is found, and nothing else', async (t) => {
  const { look, config, sourceUrl } = await preflightFixture(t, { views: [itemView()], events: [itemEvents()] })
  const connect = await fakeConnect(t)
  const ours = connectorConfiguration(config, { databaseUrl: sourceUrl })
  const found = async (): Promise<string[]> =>
    (await look({ connectUrl: connect.url }))
      .filter(({ id }) => !['capture-role-excess', 'connector-not-reading'].includes(id))
      .map(({ id, severity }) => `${severity} ${id}`)
  connect.connectors.set(ours.name, { config: { ...ours.config } })
  assert.deepEqual(await found(), [], 'as trackops connector makes it')
  for (const [changes, id, severity] of CASES) {
    const changed = Object.entries({ ...ours.config, ...changes }).filter(([, value]) => value !== null)
    connect.connectors.set(ours.name, { config: Object.fromEntries(changed) as Record<string, string> })
    assert.deepEqual(await found(), id === '' ? [] : [`${severity} ${id}`], JSON.stringify(changes))
  }
})

test('every rule of a property is among the cases above', () => {
  const tried = new Set(CASES.flatMap(([changes, id]) => Object.keys(changes).map((property) => `${id} ${property}`)))
  for (const { id, property } of PROPERTY_RULES) assert.ok(tried.has(`${id} ${property}`), `${id} ${property}`)
})

test('a connector that is not there, or does not run, is told with the reason and what to do', async (t) => {
  const { look, config, sourceUrl } = await preflightFixture(t)
  const connect = await fakeConnect(t)
  const { name, config: right } = connectorConfiguration(config, { databaseUrl: sourceUrl })
  const first = async (): Promise<Finding | undefined> =>
    (await look({ connectUrl: connect.url })).find(({ id }) => /^connector-(missing|failed|not-running)$/.test(id))
  const missing = await first()
  assert.deepEqual([missing?.id, missing?.severity], ['connector-missing', 'error'])
  assert.equal(missing?.mend, `trackops connector --register ${connect.url}`)
  const trace = 'org.apache.kafka.connect.errors.ConnectException: The slot is gone\n\tat a.b(C.java)'
  const states: readonly (readonly [Omit<FakeConnector, 'config'>, string, RegExp])[] = [
    [
      { tasks: [{ state: 'FAILED', trace }] },
      'connector-failed',
      /task 0 of connector .* is FAILED: The slot is gone$/,
    ],
    [{ state: 'FAILED', trace, tasks: [] }, 'connector-failed', /^connector .* is FAILED: The slot is gone$/],
    [{ state: 'PAUSED' }, 'connector-not-running', /^connector .* is PAUSED$/],
    [{ state: 'STOPPED', tasks: [] }, 'connector-not-running', /^connector .* is STOPPED$/],
    [{ tasks: [{ state: 'UNASSIGNED' }] }, 'connector-not-running', /task 0 .* is UNASSIGNED$/],
    [{ tasks: [] }, 'connector-not-running', /has no task$/],
  ]
  for (const [state, id, finding] of states) {
    connect.connectors.set(name, { config: { ...right }, ...state })
    const found = await first()
    assert.equal(found?.id, id)
    assert.match(found.finding, finding)
  }
})

test('a connector of another name is known by its slot', async (t) => {
  const { look, config, sourceUrl } = await preflightFixture(t)
  const connect = await fakeConnect(t)
  const { config: right } = connectorConfiguration(config, { databaseUrl: sourceUrl })
  connect.connectors.set('something-else', { config: { 'slot.name': 'x', 'topic.prefix': 'y' } })
  connect.connectors.set('theirs', { config: { ...right, 'topic.prefix': 'theirs' } })
  const findings = await look({ connectUrl: connect.url })
  assert.ok(findings.some(({ finding }) => finding === 'connector theirs has topic.prefix=theirs'))
})

test('Kafka Connect that cannot be reached is a finding, and one that is not named a warning in distributed mode', async (t) => {
  const { look } = await preflightFixture(t)
  const [unreachable] = await look({ connectUrl: `http://127.0.0.1:${await freePort()}` })
  assert.deepEqual([unreachable?.id, unreachable?.severity], ['connect-unreachable', 'error'])
  const [unnamed] = await look({ isDistributed: true })
  assert.deepEqual([unnamed?.id, unnamed?.severity], ['connector-not-checked', 'warning'])
  assert.deepEqual(await look(), [])
})
