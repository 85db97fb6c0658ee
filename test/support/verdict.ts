/** What a running system has to be judged by: has it caught up, and is anything in its cache stale? */
import assert from 'node:assert/strict'

import config from '../../trackops.config.ts'
import { committedOffsets } from '../../src/log/kafka/topic-offsets.ts'
import { type Connections, openConnections, type ServerUrls } from '../../src/roles/connections.ts'
import type { TrackOpsConfig } from '../../src/roles/define-config.ts'
import { cachePositions } from '../../src/roles/distributed/cache-positions.ts'
import { changeTopics, tablesOfViews } from '../../src/roles/distributed/change-topics.ts'
import { createLogProgress } from '../../src/roles/distributed/log-progress.ts'
import { createKafkaClients, type KafkaConnection } from '../../src/roles/kafka-clients.ts'
import type { SystemStatus } from '../../src/roles/status.ts'
import { verifyOnce } from '../../src/roles/verify.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import type { VerifyReport } from '../../src/verify/verify.ts'
import { waitFor } from './wait-for.ts'

export interface JudgedSystem {
  readonly urls: ServerUrls
  readonly consoleUrl: string
  /** As it was started with; default: trackops.config.ts. */
  readonly config?: TrackOpsConfig
  /** Distributed mode. */
  readonly kafka?: KafkaConnection | undefined
}

const ROOT = new URL('../../', import.meta.url).pathname
const BOUND_MS = 60_000

export async function statusOf(system: Pick<JudgedSystem, 'consoleUrl'>): Promise<SystemStatus> {
  const response = await fetch(`${system.consoleUrl}/api/status`)
  return (await response.json()) as SystemStatus
}

/** Resolves when every consumer has applied all that was committed before the call. */
export async function caughtUp(system: JudgedSystem, timeoutMs = BOUND_MS): Promise<void> {
  const connections = await open(system)
  try {
    const [row] = await connections.sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
    const target = lsnOf(row?.lsn ?? null)
    if (connections.kafka) {
      await topicsCaughtUp(system, connections, connections.kafka, target, timeoutMs)
      return
    }
    await waitFor(() => statusOf(system), {
      what: `every consumer to reach ${row?.lsn}`,
      timeoutMs,
      intervalMs: 20,
      until: ({ consumers, isReady }) =>
        isReady && consumers.length === 3 && consumers.every(({ appliedLsn }) => lsnOf(appliedLsn) >= target),
    })
  } finally {
    await connections.close()
  }
}

/** As the connector confirms to PostgreSQL, and as far as the three groups have come. */
async function topicsCaughtUp(
  system: JudgedSystem,
  { sql, redis, views, loaded }: Connections,
  kafka: KafkaConnection,
  target: bigint,
  timeoutMs: number,
): Promise<void> {
  const admin = createKafkaClients(kafka).admin()
  const topics = changeTopics(loaded.config, tablesOfViews(loaded.config.views)).map(({ topic }) => topic)
  const ofEvents = changeTopics(
    loaded.config,
    (loaded.config.events ?? []).map(({ table }) => table),
  )
  const progress = createLogProgress(
    {
      admin,
      sql,
      async positions(partitions) {
        const committed = await committedOffsets(admin, 'debezium-order-consumer')
        const isOfEvents = (name: string): boolean => ofEvents.some(({ topic }) => name.startsWith(`${topic}-`))
        const events = new Map(partitions.map((name) => [name, isOfEvents(name) ? (committed.get(name) ?? 0n) : FAR]))
        return [...(await cachePositions(redis, views.keyPrefix, partitions)), events]
      },
    },
    { slot: loaded.config.source.slot, topics },
  )
  try {
    await waitFor(async () => ({ reached: await progress.reached(), isReady: (await statusOf(system)).isReady }), {
      what: `every group to reach ${target}`,
      timeoutMs,
      intervalMs: 20,
      until: ({ reached, isReady }) => isReady && reached !== null && reached >= target,
    })
  } finally {
    await admin.close()
  }
}

const FAR = 2n ** 62n

/** @throws unless `trackops verify` would say 0 stale, of at least one key */
export async function assertNothingStale(system: JudgedSystem, timeoutMs = BOUND_MS): Promise<VerifyReport> {
  const connections = await open(system)
  try {
    const report = await verifyOnce(connections, { signal: AbortSignal.timeout(timeoutMs) })
    assert.deepEqual(
      { staleKeys: report.staleKeys, unsettledKeys: report.unsettledKeys, examples: report.examples },
      { staleKeys: 0, unsettledKeys: 0, examples: [] },
    )
    assert.ok(report.checkedKeys > 0, 'there must be something to verify')
    return report
  } finally {
    await connections.close()
  }
}

function open(system: JudgedSystem): ReturnType<typeof openConnections> {
  const loaded = { config: system.config ?? config, directory: ROOT, file: `${ROOT}trackops.config.ts` }
  return openConnections(loaded, system.urls, SILENT, system.kafka)
}

function lsnOf(text: string | null): bigint {
  const [high, low] = (text ?? '0/0').split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}
