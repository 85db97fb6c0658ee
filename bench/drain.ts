/**
 * How long does a backlog take? The same WAL is drained by `pg_recvlogical` (PostgreSQL's own client, to /dev/null) and by the whole
 * of TrackOps: decoded, derived, written to a real Redis, events published. In one run, in turns, on one server.
 *
 *   npm run bench -- drain [--changes 500000] [--rounds 3]
 *
 * Workload: a fifth of the changes inserted in one transaction, all of those updated twice (one transaction each), and the
 * rest inserted one a transaction.
 */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

import type { Sql } from 'postgres'

import config from '../trackops.config.ts'
import { openCapture } from '../src/capture/open-capture.ts'
import { compileViews } from '../src/cache/compiled-view.ts'
import { createPlanner } from '../src/cache/plan.ts'
import { createCacheProtocol } from '../src/cache/protocol.ts'
import { parseLsn } from '../src/change/lsn.ts'
import { createCacheConsumer } from '../src/consume/cache-consumer.ts'
import { createTableEventStore } from '../src/consume/event-store.ts'
import { createOrderEventConsumer } from '../src/consume/order-event-consumer.ts'
import { createVisibility } from '../src/consume/visibility.ts'
import { createPipeline } from '../src/roles/pipeline.ts'
import { prepareDatabases } from '../src/roles/prepare-databases.ts'
import { connectRedis, createRedisClient } from '../src/roles/redis-client.ts'
import { openSystemCache } from '../src/roles/system-cache.ts'
import { pause } from '../src/runtime/backoff.ts'
import { createLogger, SILENT } from '../src/runtime/logger.ts'
import { createPostgresPool } from '../src/runtime/postgres.ts'
import { startTestCluster } from '../test/support/postgres-cluster.ts'
import type { TestScope } from '../test/support/defer.ts'
import { testRedis } from '../test/support/redis.ts'
import { cpuSecondsOf, cpuSecondsOfFamily, type Bench, inScope, parentOf, peakMemoryMb } from './measure.ts'

const SLOT = 'drain'
const RIVAL_SLOT = 'drain_rival'
const PUBLICATION = 'drain_pub'

export interface DrainFigures {
  readonly changes: number
  readonly rounds: readonly DrainRound[]
}

export interface DrainRound {
  /** `pg_recvlogical`; null where it is not installed. */
  readonly rivalSeconds: number | null
  readonly seconds: number
  readonly cpuSeconds: { readonly trackops: number; readonly redis: number; readonly postgresql: number }
}

export const drain: Bench = async ({ options, print }): Promise<DrainFigures> => {
  const changes = options.number('changes', 500_000)
  const bulk = options.number('bulk', 0.2)
  const rounds: DrainRound[] = []
  for (let round = 0; round < options.number('rounds', 3); round++)
    rounds.push(await inScope((scope) => drainOnce(scope, { changes, bulk }, print)))
  return { changes, rounds }
}

/** Servers of its own for each round: a backlog begins with empty tables, an empty Redis and slots of that moment. */
async function drainOnce(
  scope: TestScope,
  { changes, bulk }: { readonly changes: number; readonly bulk: number },
  print: (line: string) => void,
): Promise<DrainRound> {
  const rival = locateRecvlogical()
  const cluster = await startTestCluster({ max_wal_size: '8GB' })
  scope.after(() => cluster.remove())
  const { url } = cluster
  const sql = createPostgresPool(url, { applicationName: 'bench' })
  scope.after(() => sql.end({ timeout: 1 }))
  const redisServer = await testRedis(scope)
  await prepareDatabases(
    { config: { ...config, databases: {} }, directory: new URL('..', import.meta.url).pathname, file: '' },
    () => sql,
  )
  await sql.unsafe(`create publication ${PUBLICATION} for table orders, order_items`)
  const log = process.env['TRACKOPS_BENCH_LOG'] ? createLogger('debug') : SILENT

  const views = compileViews(config.views)
  const system = async (): Promise<{
    run: (until: bigint) => Promise<void>
    close: () => Promise<void>
    processed: () => number
  }> => {
    const redis = createRedisClient(redisServer.url, { name: 'bench', log })
    await connectRedis(redis, redisServer.url)
    const readers = createRedisClient(redisServer.url, { name: 'bench-readers', log })
    await connectRedis(readers, redisServer.url)
    const protocol = createCacheProtocol({ redis, log }, { views })
    await protocol.load()
    const cache = openSystemCache({ redis: readers, sql, log }, { views })
    const consumer = createCacheConsumer({
      role: 'together',
      protocol,
      planner: createPlanner(views),
      viewNames: views.all.map(({ name }) => name),
      log,
      refill: (keys, signal) => cache.refill(keys, signal),
      setAside: async () => undefined,
      onApplied: ({ positions }) => cache.reader.applied(positions),
    })
    const events = createOrderEventConsumer({
      store: createTableEventStore(sql, 'order-event-consumer'),
      log,
      definitions: config.events ?? [],
      recoverMissed: async () => undefined,
    })
    const consumers = process.env['TRACKOPS_BENCH_EVENTS'] === 'off' ? [consumer] : [consumer, events]
    const pipeline = createPipeline({
      log,
      consumers,
      openCapture: (signal) =>
        openCapture(
          { sql, log },
          {
            databaseUrl: url,
            slot: SLOT,
            publication: PUBLICATION,
            tables: ['public.orders', 'public.order_items'],
            signal,
            maxTransactionChanges: 2_000,
          },
        ),
      createVisibility: (capture) => createVisibility({ sql, history: capture.history }),
    })
    const stop = new AbortController()
    const running = pipeline.run(stop.signal)
    return {
      processed: () => consumer.status().processedCount,
      async run(until) {
        for (;;) {
          const states = consumers.map((each) => each.status().appliedPosition?.commitLsn ?? 0n)
          const isStreaming = pipeline.status().capture?.state === 'streaming'
          if (isStreaming && states.every((lsn) => lsn >= until)) return
          await pause(5)
        }
      },
      async close() {
        stop.abort()
        await running
        cache.close()
        protocol.close()
        redis.destroy()
        readers.destroy()
      },
    }
  }

  // The slot is made, then left: from here on a backlog grows.
  const first = await system()
  await first.run(1n)
  for (let isComplete = false; !isComplete; await pause(50)) {
    const [row] = await sql`select snapshot_completed_at is not null as is_complete from trackops.slots`
    isComplete = row?.['is_complete'] === true
  }
  await first.close()
  await sql`select pg_create_logical_replication_slot(${RIVAL_SLOT}, 'pgoutput')`

  print(`writing ${changes} changes`)
  await writeBacklog(sql, changes, bulk)
  const end = await currentLsn(sql)
  const messages =
    await sql`select count(*)::int as count, sum(length(data))::bigint as bytes from pg_logical_slot_peek_binary_changes(${RIVAL_SLOT}, null, null, 'proto_version', '1', 'publication_names', ${PUBLICATION})`
  print(`${messages[0]?.['count']} messages, ${Math.round(Number(messages[0]?.['bytes']) / 1e6)} MB`)

  const rivalSeconds = rival ? await timed(() => receive(rival, url, end)) : null
  if (rivalSeconds === null)
    print('pg_recvlogical is not installed (Debian: postgresql-client): nothing to compare with')
  else print(`pg_recvlogical   ${rivalSeconds.toFixed(2)} s`)

  const watching = createRedisClient(redisServer.url, { name: 'bench-watch', log })
  await connectRedis(watching, redisServer.url)
  const redisPid = Number(/process_id:(\d+)/.exec(await watching.info('server'))?.[1])
  watching.destroy()
  const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`
  const postmasterPid = parentOf(backend?.pid ?? -1)
  const redisBefore = cpuSecondsOfFamily(redisPid)
  const postgresBefore = cpuSecondsOfFamily(postmasterPid)
  const cpuBefore = cpuSecondsOf()
  const ours = await system()
  const seconds = await timed(() => ours.run(parseLsn(end)))
  const cpu = cpuSecondsOf() - cpuBefore
  const redisCpu = cpuSecondsOfFamily(redisPid) - redisBefore
  const postgresCpu = cpuSecondsOfFamily(postmasterPid) - postgresBefore
  print(
    `trackops         ${seconds.toFixed(2)} s (${Math.round(changes / seconds)} changes/s, ${cpu.toFixed(2)} s of CPU in this process, ${ours.processed()} changes, peak ${peakMemoryMb()} MB)`,
  )
  print(`                 CPU: Redis ${redisCpu.toFixed(2)} s, PostgreSQL ${postgresCpu.toFixed(2)} s`)
  await ours.close()
  return { rivalSeconds, seconds, cpuSeconds: { trackops: cpu, redis: redisCpu, postgresql: postgresCpu } }
}

async function writeBacklog(sql: Sql, changes: number, bulk: number): Promise<void> {
  const fifth = Math.round(changes * bulk)
  await sql`insert into orders (customer_id, total_amount, street_address, city, postal_code, country)
            select gen_random_uuid(), nr, nr || ' Main Street', 'Vienna', '1010', 'AT' from generate_series(1, ${fifth}::int) nr`
  await sql`update orders set status = 'CONFIRMED'`
  await sql`update orders set status = 'PROCESSING'`
  await sql.unsafe(`create or replace procedure write_singly(count int) language plpgsql as $$
    begin
      for nr in 1..count loop
        insert into orders (customer_id, total_amount, street_address, city, postal_code, country)
        values (gen_random_uuid(), nr, nr || ' Main Street', 'Vienna', '1010', 'AT');
        commit;
      end loop;
    end $$`)
  await sql.unsafe(`set synchronous_commit = off`)
  await sql.unsafe(`call write_singly(${changes - 3 * fifth})`)
}

async function currentLsn(sql: Sql): Promise<string> {
  // The end of a commit, which a client's end position must not be beyond on an idle server.
  await sql`select pg_switch_wal()`
  const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  await sql`select pg_logical_emit_message(false, 'bench', 'end')`
  return row?.lsn ?? '0/0'
}

function locateRecvlogical(): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(':')) {
    const candidate = join(folder, 'pg_recvlogical')
    try {
      accessSync(candidate, constants.X_OK)
      return candidate
    } catch {
      // look on
    }
  }
  return undefined
}

async function receive(binary: string, url: string, end: string): Promise<void> {
  const child = spawn(
    binary,
    [
      '--dbname',
      url,
      '--slot',
      RIVAL_SLOT,
      '--start',
      '--no-loop',
      '--file',
      '/dev/null',
      '--endpos',
      end,
      '--option',
      'proto_version=1',
      '--option',
      `publication_names=${PUBLICATION}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()))
  const code = await new Promise((resolve) => child.on('exit', resolve))
  if (code !== 0) throw new Error(`pg_recvlogical: ${words.trim()}`)
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}
