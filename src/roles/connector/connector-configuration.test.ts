import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseExpressions, passes } from '../../change/debezium/name-filter.ts'
import type { TrackOpsConfig } from '../define-config.ts'
import { countView, itemEvents, itemView } from '../preflight/preflight-fixture.ts'
import { connectorConfiguration, PASSWORD_REFERENCE } from './connector-configuration.ts'
import { CONNECTOR_PROPERTIES, tableExpression } from './connector-properties.ts'

const config: TrackOpsConfig = {
  source: { urlVariable: 'DATABASE_URL', embeddedName: 'items', slot: 'items_slot', publication: 'items_pub' },
  views: [itemView(), countView('select 1', ['public.items', 'stock.Odd (x)'])],
  events: [{ ...itemEvents(), table: 'public.events' }],
}
const databaseUrl = 'postgres://catcher:s%40cret@db.internal:6432/items?sslmode=verify-full&sslrootcert=/ca.pem'

test('the connector fits the declared views and events, source and database', () => {
  const { name, config: made } = connectorConfiguration(config, { databaseUrl })
  assert.equal(name, 'items_slot')
  const named = Object.fromEntries(
    Object.entries(made).filter(([property]) => /^(database|slot\.name|pub.*name|topic\.prefix)/.test(property)),
  )
  assert.deepEqual(named, {
    'database.hostname': 'db.internal',
    'database.port': '6432',
    'database.user': 'catcher',
    'database.password': 's@cret',
    'database.dbname': 'items',
    'database.sslmode': 'verify-full',
    'database.sslrootcert': '/ca.pem',
    'slot.name': 'items_slot',
    'publication.name': 'items_pub',
    'topic.prefix': 'items_slot',
  })
})

test('its list of tables lets through the tables of views and events, each once, and no other', () => {
  const { config: made } = connectorConfiguration(config, { databaseUrl })
  const include = parseExpressions(made['table.include.list'] ?? '')
  assert.equal(include.length, 3)
  const isCaptured = (table: string): boolean => passes({ include, exclude: null }, table)
  for (const table of ['public.items', 'public.events', 'stock.Odd (x)']) assert.ok(isCaptured(table), table)
  for (const table of ['publicXitems', 'public.items2', 'xpublic.items', 'stock.Odd x'])
    assert.ok(!isCaptured(table), table)
  assert.doesNotMatch(tableExpression('a.b,c'), /,/, 'a comma would end the expression')
})

test('a topic prefix of its own names connector and topics', () => {
  const source = { ...config.source, topicPrefix: 'shop' }
  const made = connectorConfiguration({ ...config, source }, { databaseUrl })
  assert.deepEqual([made.name, made.config['topic.prefix'], made.config['slot.name']], ['shop', 'shop', 'items_slot'])
  assert.equal(made.config['topic.creation.heartbeat.include'], String.raw`__debezium-heartbeat\.shop`)
})

test('with a reference for it, the password is nowhere', () => {
  const made = connectorConfiguration(config, { databaseUrl, passwordReference: PASSWORD_REFERENCE })
  assert.equal(made.config['database.password'], PASSWORD_REFERENCE)
  assert.doesNotMatch(JSON.stringify(made), /cret/)
})

test('a database that is reached by a unix socket is refused: Java has none', () => {
  const socket = 'postgres://catcher@/items?host=/run/postgresql'
  assert.throws(() => connectorConfiguration(config, { databaseUrl: socket }), { code: 'CONFIG_INVALID' })
})

test('every property is there once and has its reason', () => {
  const names = CONNECTOR_PROPERTIES.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  for (const { name, why } of CONNECTOR_PROPERTIES) assert.match(why, /\.$/, name)
})
