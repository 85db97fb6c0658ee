/** The connector that trackops connector makes, in a real Kafka Connect: what it writes, and what preflight says when it is broken. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'

import { Admin } from '@platformatic/kafka'
import type { Sql } from 'postgres'

import { connectApi } from '../../src/roles/connector/connect-api.ts'
import {
  connectorConfiguration,
  type ConnectorConfiguration,
} from '../../src/roles/connector/connector-configuration.ts'
import { HEARTBEAT_QUERY } from '../../src/roles/connector/connector-properties.ts'
import { registerConnector } from '../../src/roles/connector/register-connector.ts'
import type { TrackOpsConfig } from '../../src/roles/define-config.ts'
import type { Finding } from '../../src/roles/preflight/finding.ts'
import { preflight } from '../../src/roles/preflight/preflight.ts'
import config from '../../trackops.config.ts'
import { defer } from '../support/defer.ts'
import { ownPostgres } from '../support/postgres.ts'
import { hasProgram, psql } from '../support/psql.ts'
import { testRedis } from '../support/redis.ts'
import { testStack, uniqueName, whyNoStack } from '../support/stack.ts'
import { topicValues } from '../support/topic-values.ts'
import { waitFor } from '../support/wait-for.ts'

const ROOT = new URL('../../', import.meta.url)
const skip = (await whyNoStack()) || (hasProgram('psql') ? false : 'no psql on this machine')

interface Running {
  readonly sql: Sql
  readonly name: string
  readonly ours: ConnectorConfiguration
  readonly connectUrl: string
  readonly brokers: string[]
  /** Until it runs, as the database sees it. */
  readonly register: (changes?: Readonly<Record<string, string>>, timeoutMs?: number) => Promise<unknown>
  /** What is found of connector, role and publication. */
  readonly look: () => Promise<readonly Finding[]>
}

/** The order system's tables, the role of deploy/sql/capture-role.sql, and a connector that is not registered yet. */
async function orderTables(t: TestContext): Promise<Running> {
  const { connectUrl, brokers } = await testStack()
  const { sql, url } = await ownPostgres(t)
  const redis = await testRedis(t)
  await sql.unsafe(readFileSync(new URL('app/migrations/orders/0001-orders.sql', ROOT), 'utf8'))
  const slot = uniqueName('orders')
  const tables = 'public.orders, public.order_items'
  const variables = { role: 'catcher', password: 'secret', schemas: 'public', tables, publication: slot }
  const settings = Object.entries(variables).map(([name, value]) => `\\set ${name} '${value}'\n`)
  await psql(url, settings.join('') + readFileSync(new URL('deploy/sql/capture-role.sql', ROOT), 'utf8'))

  const source = { ...config.source, slot, publication: slot }
  const own: TrackOpsConfig = { source, views: config.views, events: config.events ?? [] }
  const captureUrl = new URL(url)
  captureUrl.username = 'catcher'
  captureUrl.password = 'secret'
  const made = connectorConfiguration(own, { databaseUrl: captureUrl.href })
  const ours = { ...made, config: { ...made.config, 'heartbeat.interval.ms': '200' } }
  defer(t, async () => {
    await (await fetch(`${connectUrl}/connectors/${ours.name}`, { method: 'DELETE' })).arrayBuffer()
  })
  const isSlotRead = async (): Promise<boolean> => {
    const [row] = await sql<{ active: boolean }[]>`select active from pg_replication_slots where slot_name = ${slot}`
    return row?.active === true
  }
  return {
    sql,
    name: ours.name,
    ours,
    connectUrl,
    brokers,
    register: (changes = {}, timeoutMs = 60_000) =>
      registerConnector(
        connectApi(connectUrl),
        { name: ours.name, config: { ...ours.config, ...changes } },
        { isSlotRead, pollIntervalMs: 100, settleMs: 1000, timeoutMs },
      ),
    async look() {
      const urls = { source: url, redis: redis.url, databases: {} }
      const { findings } = await preflight({ config: own, directory: '/', file: '/none' }, urls, { connectUrl })
      return findings.filter(({ id }) => /^(connector|capture|publication|slot-lost|slot-missing)/.test(id))
    },
  }
}

test(
  'its records have everything: exact decimals, NULL beside a default, TRUNCATE, tombstones, twelve partitions',
  { skip },
  async (t) => {
    const { sql, name, brokers, register, look } = await orderTables(t)
    await sql`insert into orders (id, total_amount) values ('0b9d1cde-7c4e-4e61-a1b6-6a3a1d9f0f11', 12.50)`
    await register()
    assert.deepEqual(await look(), [])
    await sql`insert into order_items (quantity, unit_price) values (null, 'NaN')`
    await sql`delete from orders`
    await sql`truncate orders cascade`

    type Change = { op: string; after: Record<string, unknown> | null; before: Record<string, unknown> | null } | null
    // The TRUNCATE is one of both tables.
    const items = await recordsOf<Change>(t, brokers, `${name}.public.order_items`, (seen) => seen.length === 2)
    const item = items.find((change) => change?.op === 'c')
    assert.deepEqual([item?.op, item?.after?.['quantity'], item?.after?.['unit_price']], ['c', null, 'NAN'])
    const orders = await recordsOf<Change>(t, brokers, `${name}.public.orders`, (seen) => seen.length === 4)
    // It has no key, so it may come from another partition, at any place.
    assert.deepEqual(orders.map((change) => change?.op ?? 'tombstone').toSorted(), ['d', 'r', 't', 'tombstone'])
    assert.equal(orders.find((change) => change?.op === 'd')?.before?.['total_amount'], '12.50')
    assert.deepEqual(await partitionsOf(brokers, [`${name}.public.orders`, `__debezium-heartbeat.${name}`]), [12, 1])
    assert.equal((await recordsOf(t, brokers, `__debezium-heartbeat.${name}`, (seen) => seen.length > 0)).length, 1)
  },
)

test(
  'on a database where nobody writes the captured tables the slot goes on, by a role that may write nothing',
  { skip },
  async (t) => {
    const { sql, name, register, brokers } = await orderTables(t)
    await register()
    await sql`create table elsewhere as select generate_series(1, 1000)`
    const [end] = await sql<{ lsn: string }[]>`select pg_current_wal_lsn()::text as lsn`
    const isConfirmed = async (): Promise<boolean> => {
      const [row] = await sql<{ isDone: boolean }[]>`
      select confirmed_flush_lsn >= ${end?.lsn ?? ''}::pg_lsn as "isDone" from pg_replication_slots where slot_name = ${name}`
      return row?.isDone === true
    }
    await waitFor(isConfirmed, { what: `the slot to pass what ${HEARTBEAT_QUERY} is for`, timeoutMs: 60_000 })
    await assert.rejects(partitionsOf(brokers, [`${name}.message`]), /Unknown topic/)
  },
)

test('a database that cannot be logged in to is told as that', { skip }, async (t) => {
  const { register } = await orderTables(t)
  const expected = { code: 'CONNECT_REFUSED', message: /cannot log in to the database/ }
  await assert.rejects(register({ 'database.user': 'nobody' }), expected)
})

test(
  'a publication that lacks a table is found although Kafka Connect says RUNNING, and mended as preflight says',
  { skip },
  async (t) => {
    const { sql, name, register, look } = await orderTables(t)
    await register()
    await sql.unsafe(`alter publication ${name} drop table public.order_items`)
    await assert.rejects(register({ 'poll.interval.ms': '21' }, 5000), /RUNNING, but nobody reads the slot/)
    const findings = await look()
    const ids = findings.map(({ id }) => id)
    assert.deepEqual(ids, ['publication-lacks-table', 'capture-role-publication', 'connector-not-reading'])
    await sql.unsafe(findings[1]?.mend ?? '')
    await register()
    assert.deepEqual(await look(), [])
  },
)

test(
  'a lost slot stops a connector with snapshot.mode=initial, which is told with the reason; ours takes a new snapshot',
  { skip },
  async (t) => {
    const { sql, name, connectUrl, brokers, register, look } = await orderTables(t)
    await sql`insert into orders (total_amount) values (1)`
    await register({ 'snapshot.mode': 'initial' })
    await recordsOf(t, brokers, `${name}.public.orders`, (seen) => seen.length === 1)
    await waitFor(() => offsetOf(connectUrl, name), { what: 'an offset to be stored', timeoutMs: 30_000 })
    await fetch(`${connectUrl}/connectors/${name}/stop`, { method: 'PUT' })
    await waitFor(() => sql`select pg_drop_replication_slot(${name})`, {
      what: 'the slot to be free',
      timeoutMs: 30_000,
    })
    await fetch(`${connectUrl}/connectors/${name}/resume`, { method: 'PUT' })
    const failed = await waitFor(async () => (await look()).find(({ id }) => id === 'connector-failed'), {
      what: 'the task to fail',
      timeoutMs: 60_000,
      intervalMs: 200,
    })
    assert.match(failed.finding, /^task 0 of connector orders_\w+ is FAILED: .*(no longer available|slot)/)
    await register()
    await recordsOf<{ op: string }>(t, brokers, `${name}.public.orders`, (seen) => seen.length === 2)
    assert.deepEqual(await look(), [])
  },
)

async function offsetOf(connectUrl: string, name: string): Promise<boolean> {
  const response = await fetch(`${connectUrl}/connectors/${name}/offsets`)
  const { offsets } = (await response.json()) as { offsets?: readonly unknown[] }
  return (offsets?.length ?? 0) > 0
}

async function partitionsOf(brokers: string[], topics: readonly string[]): Promise<number[]> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: brokers })
  try {
    // it sorts what it is given
    const metadata = await admin.metadata({ topics: [...topics] })
    return topics.map((topic) => metadata.topics.get(topic)?.partitionsCount ?? 0)
  } finally {
    await admin.close()
  }
}

/** Records of a topic from its beginning, until there are enough of them; null for a tombstone. */
async function recordsOf<T>(
  t: TestContext,
  brokers: string[],
  topic: string,
  isEnough: (values: readonly unknown[]) => boolean,
): Promise<readonly T[]> {
  const values = await topicValues(t, brokers, topic, isEnough)
  return values.map((value) => (value === null ? null : JSON.parse(value)) as T)
}
