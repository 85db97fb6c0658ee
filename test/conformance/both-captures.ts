/** Runs SQL beside the real connector and `trackops tail`, each with a slot of its own on one database, and gives what both wrote. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Sql } from 'postgres'

import { parseDatabaseUrl } from '../../src/runtime/connection-target.ts'
import type { DebeziumRecord } from '../../src/change/debezium/encode.ts'
import { type DebeziumOptions, parseDebeziumOptions } from '../../src/change/debezium/options.ts'
import { topicsOf } from '../../src/change/debezium/topic.ts'
import type { KafkaRecord } from '../../src/log/kafka/committed-records.ts'
import { followRecords } from '../../src/roles/tail.ts'
import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { defer, type TestScope } from '../support/defer.ts'
import { ownPostgres } from '../support/postgres.ts'
import { startConnector, testStack, uniqueName } from '../support/stack.ts'
import { waitFor } from '../support/wait-for.ts'
import type { Case } from './case.ts'
import { connectorOf, type Group, MARKER_TABLE, tailPairs } from './groups.ts'
import { readTopics, type TopicReader } from './read-topics.ts'

export interface Outcome {
  readonly sql: Sql
  readonly groups: readonly GroupOutcome[]
}

export interface GroupOutcome {
  readonly group: Group
  readonly prefix: string
  readonly options: DebeziumOptions
  /** By topic, in their order. */
  readonly theirs: ReadonlyMap<string, readonly KafkaRecord[]>
  readonly ours: ReadonlyMap<string, readonly DebeziumRecord[]>
}

interface Running {
  readonly group: Group
  readonly prefix: string
  readonly options: DebeziumOptions
  readonly markerTopic: string
  readonly ours: Map<string, DebeziumRecord[]>
  readonly tailEnded: Promise<void>
}

export async function runBoth(scope: TestScope, groups: readonly Group[], cases: readonly Case[]): Promise<Outcome> {
  const [{ brokers, connectUrl }, { sql, url }] = await Promise.all([testStack(), ownPostgres(scope)])
  const reader = readTopics(brokers)
  // One connection: transactions span statements.
  const writer = createPostgresPool(url, { applicationName: 'conformance', maxConnections: 1 })
  defer(scope, () => writer.end({ timeout: 1 }))
  defer(scope, () => reader.close())
  for (const { name, setup } of cases) await inCase(name, () => writer.unsafe(`create schema "${name}"; ${setup}`))
  await sql.unsafe('create schema zz; create table zz.marker (id int primary key); insert into zz.marker values (0)')

  const running: Running[] = []
  const connectors = groups.map(async (group) => {
    const prefix = uniqueName(group.name.replaceAll('-', '_'))
    const config = connectorOf(group, prefix, parseDatabaseUrl(url), cases)
    running.push(startTail(scope, group, prefix, tailPairs(config), url))
    await startConnector(scope, connectUrl, prefix, config)
  })
  await Promise.all(connectors)
  await Promise.all(running.map((one) => isStreaming(sql, one, connectUrl)))

  let marker = 0
  const seenByAll = async (): Promise<void> => {
    marker += 1
    await sql`insert into ${sql(MARKER_TABLE)} values (${marker})`
    await reached(reader, running, marker + 1, connectUrl)
  }
  await seenByAll()
  const stepCount = Math.max(...cases.map(({ steps }) => steps.length))
  for (let step = 0; step < stepCount; step += 1) {
    for (const { name, steps } of cases) {
      const statements = steps[step]
      if (statements !== undefined) await inCase(name, () => writer.unsafe(statements))
    }
    await seenByAll()
  }
  // A marker may overtake records of other topics on their way to the broker: not two of them.
  await seenByAll()

  const topics = await reader.list((topic) => running.some(({ prefix }) => topic.includes(prefix)))
  const theirs = await reader.readAll(topics)
  return {
    sql,
    groups: running.map(({ group, prefix, options, ours }) => ({
      group,
      prefix,
      options,
      ours,
      theirs: new Map([...theirs].filter(([topic]) => topic.includes(prefix))),
    })),
  }
}

async function inCase(name: string, work: () => PromiseLike<unknown>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    const { message, query, position } = cause as { message: string; query?: string; position?: string }
    const at = Number(position ?? 0)
    throw new Error(`SQL of case ${name}: ${message}, at: ${query?.slice(Math.max(0, at - 60), at + 60)}`, { cause })
  }
}

function startTail(
  scope: TestScope,
  group: Group,
  prefix: string,
  properties: readonly string[],
  url: string,
): Running {
  const stop = new AbortController()
  const ours = new Map<string, DebeziumRecord[]>()
  const take = async (records: Iterable<DebeziumRecord>): Promise<void> => {
    for (const record of records) {
      const known = ours.get(record.topic)
      if (known) known.push(record)
      else ours.set(record.topic, [record])
    }
  }
  const tailEnded = followRecords({ take, say: () => undefined, signal: stop.signal }, { databaseUrl: url, properties })
  // Whoever waits for its records hears of it.
  tailEnded.catch(() => undefined)
  defer(scope, async () => {
    stop.abort()
    await tailEnded.catch(() => undefined)
  })
  const options = parseDebeziumOptions(properties, { topicPrefix: prefix })
  const [schema = '', table = ''] = MARKER_TABLE.split('.')
  return { group, prefix, options, ours, markerTopic: topicsOf(options).table(schema, table), tailEnded }
}

/** Its snapshot is done, and every change from here on is streamed to both. */
async function isStreaming(
  sql: Sql,
  { prefix, ours, markerTopic, tailEnded }: Running,
  connectUrl: string,
): Promise<void> {
  const look = async (): Promise<boolean> => {
    const [row] = await sql<{ state: string }[]>`
      select r.state from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid
       where s.slot_name = ${prefix}`
    return row?.state === 'streaming' && (ours.get(markerTopic)?.length ?? 0) > 0
  }
  const streaming = waitFor(look, { what: `both captures of ${prefix} to stream`, intervalMs: 50 })
  await orEnded(streaming, [tailEnded, connectorFails(connectUrl, [prefix])])
}

async function reached(
  reader: TopicReader,
  running: readonly Running[],
  count: number,
  connectUrl: string,
): Promise<void> {
  const topics = running.map(({ markerTopic }) => markerTopic)
  const behind = async (): Promise<readonly string[]> => {
    const counts = await reader.counts(topics)
    return running.flatMap(({ group, markerTopic, ours }) => {
      const [theirCount, ourCount] = [counts.get(markerTopic) ?? 0, ours.get(markerTopic)?.length ?? 0]
      return theirCount < count || ourCount < count ? [`${group.name}: ${theirCount} and ${ourCount} of ${count}`] : []
    })
  }
  const all = waitFor(behind, {
    what: 'both captures of every group to reach the marker',
    intervalMs: 20,
    until: (late) => late.length === 0,
  })
  const failing = connectorFails(
    connectUrl,
    running.map(({ prefix }) => prefix),
  )
  await orEnded(all, [failing, ...running.map(({ tailEnded }) => tailEnded)])
}

interface Failing {
  readonly failed: Promise<void>
  stop(): void
}

/** Rejects with the reason when a task fails: waiting longer would be in vain. */
function connectorFails(connectUrl: string, names: readonly string[]): Failing {
  const stop = new AbortController()
  const look = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      for (const name of names) {
        const response = await fetch(`${connectUrl}/connectors/${name}/status`)
        const { tasks = [] } = (await response.json()) as { tasks?: readonly { state: string; trace?: string }[] }
        const failed = tasks.find(({ state }) => state === 'FAILED')
        const causes = failed?.trace?.split('\n').filter((line) => /^(Caused by|\w+\.)/.test(line))
        if (failed) throw new Error(`the connector ${name} has failed: ${causes?.at(-1)}`)
      }
      await sleep(500, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  }
  const failed = look()
  failed.catch(() => undefined)
  return { failed, stop: () => stop.abort() }
}

/** A tail that ends, or a task that fails, says why. */
async function orEnded(work: Promise<unknown>, ends: readonly (Promise<void> | Failing)[]): Promise<void> {
  const failing = ends.filter((end): end is Failing => 'failed' in end)
  const tails = ends.filter((end): end is Promise<void> => !('failed' in end))
  try {
    await Promise.race([
      work,
      ...failing.map(({ failed }) => failed),
      ...tails.map((ended) => ended.then(() => assert.fail('a tail has ended'))),
    ])
  } finally {
    for (const one of failing) one.stop()
  }
}
