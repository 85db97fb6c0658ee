/**
 * The continuous verifier: a few keys at a time, without end, as a load that nobody notices. It waits for nothing: what differs is held,
 * and looked at again until the consumers have passed the database's state (settle.ts says why that proves it).
 *
 *   sources                        a look                   differs                       looked at again
 *   cached keys, by SCAN      ──▶  cache, then database ──▶ held: in flight ──▶ agrees:   dropped
 *   rows, by pages                                                         └──▶ position passed: a violation, named, held until it is gone
 *   keys that consumers wrote
 */
import { backoffDelayMs, pause } from '../../runtime/backoff.ts'
import { retryOf, TrackOpsError } from '../../runtime/errors.ts'
import { createCacheWalk, type KeySource, type RecentKeys } from './key-sources.ts'
import { createRounds, type RoundsDeps } from './rounds.ts'
import { createRowSampler } from './sample-rows.ts'
import type { WatchReport } from './watch-report.ts'

export interface WatchDeps extends RoundsDeps {
  /** Of consumers in this process. */
  readonly recent?: RecentKeys | undefined
}

export interface WatchOptions {
  readonly signal: AbortSignal
  /** Keys that are looked at for the first time; each of those that differ is looked at again, once a round. */
  readonly rateKeysPerSecond: number
  /** Between reports. */
  readonly intervalMs: number
}

const MAX_BATCH_KEYS = 200
const LOOK_AGAIN_MS = 200
/** When no source has a key. */
const IDLE_MS = 200

/** Servers that are away are waited for. @throws TrackOpsError for what will not pass */
export async function* watchCache(deps: WatchDeps, options: WatchOptions): AsyncGenerator<WatchReport> {
  const { signal, rateKeysPerSecond, intervalMs } = options
  const sources: readonly KeySource[] = [
    createCacheWalk(deps, deps.views, signal),
    createRowSampler(deps, deps.views),
    ...(deps.recent ? [deps.recent] : []),
  ]
  const batchKeys = Math.max(1, Math.min(MAX_BATCH_KEYS, Math.round(rateKeysPerSecond / 4)))
  const rounds = createRounds(deps)
  let failures = 0
  let emptyTurns = 0
  let interruptedBy: string | null = null
  let reportAtMs = performance.now() + intervalMs
  let lookAgainAtMs = 0
  for (let turn = 0; !signal.aborted; turn++) {
    const beganMs = performance.now()
    let seenKeys = 0
    let waitMs = 0
    try {
      if (beganMs >= lookAgainAtMs) {
        await rounds.lookAgain()
        lookAgainAtMs = performance.now() + LOOK_AGAIN_MS
      }
      for (const sampled of (await sources[turn % sources.length]?.next(batchKeys)) ?? []) {
        await rounds.look(sampled)
        seenKeys += sampled.keys.length
      }
      emptyTurns = seenKeys === 0 ? emptyTurns + 1 : 0
      waitMs =
        emptyTurns >= sources.length ? IDLE_MS : (seenKeys * 1000) / rateKeysPerSecond - (performance.now() - beganMs)
      failures = 0
      interruptedBy = null
    } catch (error) {
      if (signal.aborted) return
      if (retryOf(error) === 'never') throw error
      interruptedBy = error instanceof TrackOpsError ? error.code : 'UNKNOWN'
      waitMs = backoffDelayMs(++failures, { maxMs: 5_000 })
    }
    // A slow rate must not keep a report, nor what is in flight, waiting.
    for (const untilMs = performance.now() + waitMs; !signal.aborted;) {
      const nowMs = performance.now()
      if (nowMs >= reportAtMs) {
        reportAtMs = nowMs + intervalMs
        yield rounds.report(interruptedBy)
      }
      if (nowMs >= untilMs) break
      await pause(Math.max(1, Math.min(untilMs, reportAtMs) - nowMs), signal)
    }
  }
}
