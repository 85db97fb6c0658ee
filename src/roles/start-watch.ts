import { pause } from '../runtime/backoff.ts'
import { describeError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import type { RecentKeys } from '../verify/watch/key-sources.ts'
import type { Metrics } from './metrics.ts'
import { type VerifiedConnections, watchContinuously } from './verify.ts'

export interface StartedWatch {
  stop(): Promise<void>
}

/** So old may metrics be. */
const INTERVAL_MS = 1_000
/** A table that is gone may come back; a server that is away ends no watch. */
const AFTER_FAILURE_MS = 60_000

/** The continuous verifier inside a running system: its findings are metrics, and a line in the log where something is wrong. */
export function startWatch(
  log: Logger,
  connections: VerifiedConnections & { readonly recent: RecentKeys; readonly metrics: Metrics },
  options: { readonly rateKeysPerSecond: number },
): StartedWatch {
  const stopping = new AbortController()
  async function watch(): Promise<void> {
    const watched = watchContinuously(connections, { ...options, intervalMs: INTERVAL_MS, signal: stopping.signal })
    for await (const report of watched) {
      connections.metrics.verified(report)
      // No keys: they hold values of rows.
      const found = report.found.map(({ view, kind, difference }) => `${view}: ${kind} (${difference})`)
      if (found.length > 0) log.warn({ found }, 'cached keys differ from the database: trackops verify names them')
    }
  }
  const watching = (async () => {
    do {
      await watch().catch((error: unknown) =>
        log.warn({ error: describeError(error) }, 'keys could not be compared with the database'),
      )
    } while (await pause(AFTER_FAILURE_MS, stopping.signal))
  })()
  return {
    async stop() {
      stopping.abort()
      await watching
    },
  }
}
