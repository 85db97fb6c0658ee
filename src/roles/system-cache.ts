import type { Sql } from 'postgres'

import type { CompiledViews } from '../cache/compiled-view.ts'
import { type CacheReaderObserver, createCacheReader, type RunningCacheReader } from '../cache/create-cache-reader.ts'
import type { RefillKey } from '../cache/protocol.ts'
import type { RedisConnection } from '../cache/redis-call.ts'
import { describeError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import type { AppliedPosition } from './applied-position.ts'

export interface SystemCacheDeps {
  readonly redis: RedisConnection
  readonly sql: Sql
  readonly log: Logger
  readonly observer?: CacheReaderObserver
  /** Where the consumers of this process stand; without it readers go by what Redis holds. */
  readonly applied?: AppliedPosition | null
}

/** The reader that services share, and what consumers and commands need of it. */
export interface SystemCache {
  readonly reader: RunningCacheReader
  /** Fills keys, one view after the other. What fails stays absent, which is right, and is logged. */
  refill(keys: readonly RefillKey[], signal: AbortSignal): Promise<void>
  /** Deletes what is at the keys and fills them. Resolves to the keys that could not be filled. */
  refresh(keys: readonly RefillKey[]): Promise<readonly string[]>
  close(): void
}

export function openSystemCache(
  deps: SystemCacheDeps,
  options: { readonly views: CompiledViews; readonly partitions?: () => readonly string[] },
): SystemCache {
  const { redis, sql, log, observer, applied } = deps
  const reader = createCacheReader(
    {
      redis,
      sql,
      log,
      ...(observer ? { observer } : {}),
      ...(applied ? { waitForApplied: (lsn, signal) => applied.waitFor(lsn, signal) } : {}),
    },
    options,
  )
  return {
    reader,
    async refill(keys, signal) {
      for (const [view, names] of byView(keys)) {
        try {
          // A change that came by during the fill refused it. Nobody else would come for a key that was taken away to be filled anew.
          for (let attempt = 0; attempt < REFILL_ATTEMPTS; attempt++) {
            const { notStored } = await reader.refresh(view, names, signal)
            if (notStored === 0) break
          }
        } catch (error) {
          if (!signal.aborted)
            log.warn({ view, keys: names.length, error: describeError(error) }, 'keys were not filled')
        }
      }
    },
    async refresh(keys) {
      const failed: string[] = []
      for (const [view, names] of byView(keys)) {
        for (const name of names) {
          await redis.sendCommand(['UNLINK', name])
          const { notStored } = await reader.refresh(view, [name])
          if (notStored > 0) failed.push(name)
        }
      }
      return failed
    },
    close: () => reader.close(),
  }
}

/** A key that changes so often that none of them is stored will be read, too: its next reader fills it. */
const REFILL_ATTEMPTS = 4

function byView(keys: readonly RefillKey[]): ReadonlyMap<string, readonly string[]> {
  const grouped = new Map<string, string[]>()
  for (const { view, key } of keys) {
    const names = grouped.get(view.name)
    if (names) names.push(key)
    else grouped.set(view.name, [key])
  }
  return grouped
}
