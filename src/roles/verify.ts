import { createDatabaseReads } from '../cache/database-read.ts'
import { createCacheProtocol } from '../cache/protocol.ts'
import type { Lsn } from '../change/lsn.ts'
import { pause } from '../runtime/backoff.ts'
import { SILENT } from '../runtime/logger.ts'
import { reachedLsn } from '../verify/settle.ts'
import { type VerifyReport, verifyCache } from '../verify/verify.ts'
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

/** A full walk while the system serves should be no load that anybody notices. */
export const WATCH_RATE_KEYS_PER_SECOND = 1_000
const BETWEEN_ROUNDS_MS = 1_000
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

type VerifiedConnections = Pick<Connections, 'redis' | 'sql' | 'views'> & Partial<Pick<Connections, 'kafka' | 'loaded'>>

interface Passed {
  readonly reached: () => Promise<Lsn | null>
  readonly close: () => Promise<void>
}

/** Up to which LSN the cache's consumers have processed everything. */
function openPassed({ redis, sql, views, kafka, loaded }: VerifiedConnections): Passed {
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

/** Walk after walk, until the signal. The reports come as the walks end; an interrupted walk has none. */
export async function* verifyContinuously(
  connections: VerifiedConnections,
  options: VerifyRunOptions,
): AsyncGenerator<VerifyReport> {
  const { signal, rateKeysPerSecond = WATCH_RATE_KEYS_PER_SECOND } = options
  while (!signal.aborted) {
    try {
      yield await verifyOnce(connections, { ...options, rateKeysPerSecond })
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    await pause(BETWEEN_ROUNDS_MS, signal)
  }
}
