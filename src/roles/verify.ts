import { createDatabaseReads } from '../cache/database-read.ts'
import { createCacheProtocol } from '../cache/protocol.ts'
import type { Lsn } from '../change/lsn.ts'
import { SILENT } from '../runtime/logger.ts'
import { reachedLsn } from '../verify/settle.ts'
import { type VerifyReport, verifyCache } from '../verify/verify.ts'
import type { RecentKeys } from '../verify/watch/key-sources.ts'
import { watchCache } from '../verify/watch/watch.ts'
import type { WatchReport } from '../verify/watch/watch-report.ts'
import type { Connections } from './connections.ts'
import { cachePositions } from './distributed/cache-positions.ts'
import { changeTopics, tablesOfViews } from './distributed/change-topics.ts'
import { createLogProgress } from './distributed/log-progress.ts'
import { createKafkaClients } from './kafka-clients.ts'

export interface VerifyRunOptions {
  readonly signal: AbortSignal
  readonly rateKeysPerSecond?: number | undefined
  /** See verifyCache. */
  readonly settleMs?: number
}

/** While the system serves it should be no load that anybody notices. */
export const WATCH_RATE_KEYS_PER_SECOND = 200
export const WATCH_INTERVAL_SECONDS = 10
const TIMEOUT_MS = 30_000

/** One walk over all keys. @throws TrackOpsError REDIS_UNREACHABLE, POSTGRES_UNREACHABLE, ... */
export async function verifyOnce(connections: VerifiedConnections, options: VerifyRunOptions): Promise<VerifyReport> {
  const { redis, sql, views } = connections
  const passed = openPassed(connections)
  try {
    const reads = createDatabaseReads({ sql })
    return await verifyCache({ redis, timeoutMs: TIMEOUT_MS, views, reads, reached: passed.reached }, options)
  } finally {
    await passed.close()
  }
}

export type VerifiedConnections = Pick<Connections, 'redis' | 'sql' | 'views'> &
  Partial<Pick<Connections, 'kafka' | 'loaded'>>

interface Passed {
  readonly reached: () => Promise<Lsn | null>
  readonly close: () => Promise<void>
}

/** Up to which LSN the cache's consumers have processed everything. */
export function openPassed({ redis, sql, views, kafka, loaded }: VerifiedConnections): Passed {
  if (kafka && loaded) {
    const { config } = loaded
    const admin = createKafkaClients(kafka).admin()
    const progress = createLogProgress(
      { admin, sql, positions: (partitions) => cachePositions(redis, views.keyPrefix, partitions) },
      { slot: config.source.slot, topics: changeTopics(config, tablesOfViews(config.views)).map(({ topic }) => topic) },
    )
    return { reached: () => progress.reached(), close: () => admin.close() }
  }
  const protocol = createCacheProtocol({ redis, log: SILENT }, { views })
  return {
    async reached() {
      const { invalidator, warmer } = await protocol.positions()
      return reachedLsn([invalidator, warmer])
    },
    async close() {
      protocol.close()
    },
  }
}

export interface WatchRunOptions {
  readonly signal: AbortSignal
  /** Default WATCH_RATE_KEYS_PER_SECOND. */
  readonly rateKeysPerSecond?: number | undefined
  /** Between reports. */
  readonly intervalMs: number
}

/** Samples of keys and rows, until the signal; a report an interval. @throws TrackOpsError for what will not pass */
export async function* watchContinuously(
  connections: VerifiedConnections & { readonly recent?: RecentKeys },
  options: WatchRunOptions,
): AsyncGenerator<WatchReport> {
  const { redis, sql, views, recent } = connections
  const { rateKeysPerSecond = WATCH_RATE_KEYS_PER_SECOND } = options
  const passed = openPassed(connections)
  try {
    const reads = createDatabaseReads({ sql })
    const deps = { redis, timeoutMs: TIMEOUT_MS, views, reads, reached: passed.reached, sql, recent }
    yield* watchCache(deps, { ...options, rateKeysPerSecond })
  } finally {
    await passed.close()
  }
}
