import { createDatabaseReads } from '../cache/database-read.ts'
import { createCacheProtocol } from '../cache/protocol.ts'
import { pause } from '../runtime/backoff.ts'
import { SILENT } from '../runtime/logger.ts'
import { type VerifyReport, verifyCache } from '../verify/verify.ts'
import type { Connections } from './connections.ts'

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
export async function verifyOnce(
  connections: Pick<Connections, 'redis' | 'sql' | 'views'>,
  options: VerifyRunOptions,
): Promise<VerifyReport> {
  const { redis, sql, views } = connections
  const protocol = createCacheProtocol({ redis, log: SILENT }, { views })
  try {
    return await verifyCache(
      {
        redis,
        timeoutMs: TIMEOUT_MS,
        views,
        reads: createDatabaseReads({ sql }),
        async positions() {
          const { invalidator, warmer } = await protocol.positions()
          return [invalidator, warmer]
        },
      },
      options,
    )
  } finally {
    protocol.close()
  }
}

/** Walk after walk, until the signal. The reports come as the walks end; an interrupted walk has none. */
export async function* verifyContinuously(
  connections: Pick<Connections, 'redis' | 'sql' | 'views'>,
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
