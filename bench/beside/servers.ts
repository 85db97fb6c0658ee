/** PostgreSQL, Kafka, Connect and the connector: one set, whose topics everybody reads. */
import { join } from 'node:path'

import type { Admin } from '@platformatic/kafka'
import type { Sql } from 'postgres'

import config from '../../trackops.config.ts'
import { endOffsets } from '../../src/log/kafka/topic-offsets.ts'
import { ensureTopic } from '../../src/log/kafka/topics.ts'
import { changeTopics } from '../../src/roles/distributed/change-topics.ts'
import { installConnector } from '../../src/roles/distributed/install-connector.ts'
import { createKafkaClients } from '../../src/roles/kafka-clients.ts'
import { prepareDatabases } from '../../src/roles/prepare-databases.ts'
import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { RIVAL_EVENTS_TOPIC } from '../rivals/publisher.ts'
import { defer, type TestScope } from '../../test/support/defer.ts'
import { startTestCluster } from '../../test/support/postgres-cluster.ts'
import { ownStack } from '../../test/support/stack.ts'
import { waitFor } from '../../test/support/wait-for.ts'

export const ROOT = join(import.meta.dirname, '../..')
export const PARTITIONS = 12
const INVENTORY = 'inventory'

export interface Servers {
  readonly sql: Sql
  readonly url: string
  readonly inventoryUrl: string
  readonly brokers: readonly string[]
  readonly admin: Admin
  /** Of the table `orders`. */
  readonly topic: string
  /** Where the topic's partitions end once it has everything that was committed before the call. */
  readonly ends: () => Promise<ReadonlyMap<string, bigint>>
}

export async function startServers(scope: TestScope): Promise<Servers> {
  const cluster = await startTestCluster({ max_wal_size: '8GB' })
  defer(scope, () => cluster.remove())
  const sql = createPostgresPool(cluster.url, { applicationName: 'bench', maxConnections: 20 })
  defer(scope, () => sql.end({ timeout: 1 }))
  await sql.unsafe(`create database ${INVENTORY}`)
  const inventoryUrl = Object.assign(new URL(cluster.url), { pathname: `/${INVENTORY}` }).href
  await prepareDatabases({ config: { ...config, databases: {} }, directory: ROOT, file: '' }, () => sql)
  const stack = await ownStack(scope, { connectSettings: { 'offset.flush.interval.ms': '100' } })
  await installConnector({
    config,
    kafka: stack,
    connectUrl: stack.connectUrl,
    sourceUrl: cluster.url,
    partitions: PARTITIONS,
    properties: { 'poll.interval.ms': '10', 'heartbeat.interval.ms': '200' },
    signal: AbortSignal.timeout(120_000),
  })
  const clients = createKafkaClients(stack)
  for (const topic of [...(config.events ?? []).map((event) => event.topic), RIVAL_EVENTS_TOPIC])
    await ensureTopic(clients, topic, PARTITIONS)
  const admin = clients.admin()
  defer(scope, () => admin.close())
  const topic = changeTopics(config, ['public.orders'])[0]?.topic ?? ''
  return {
    sql,
    url: cluster.url,
    inventoryUrl,
    brokers: stack.brokers,
    admin,
    topic,
    async ends() {
      const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
      await waitFor(
        async () => {
          const [slot] = await sql<{ is_there: boolean }[]>`
            select confirmed_flush_lsn >= ${row?.lsn ?? '0/0'}::pg_lsn as is_there
            from pg_replication_slots where slot_name = ${config.source.slot}`
          return slot?.is_there
        },
        { what: 'the connector to have sent everything', timeoutMs: 600_000, intervalMs: 50 },
      )
      return await endOffsets(admin, [topic])
    },
  }
}
