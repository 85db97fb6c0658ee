import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { describeError, retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'

/**
 * A loop that lives by beginning anew: whatever breaks one pass (a lost slot, a Redis that fell back, another history) ends it, and
 * the next finds from what is stored what it has to do. There is no other repair path.
 */
export interface Passes {
  /** `pass` calls `started` when it has what it needs. Ends with the signal. @throws what no further pass can mend */
  run(pass: (signal: AbortSignal, started: () => void) => Promise<void>, signal: AbortSignal): Promise<void>
  status(): PassesStatus
}

export interface PassesStatus {
  readonly state: 'starting' | 'running' | 'waiting' | 'stopped'
  /** Why it waits, and what to do; null while it runs. */
  readonly reason: string | null
  readonly passes: number
}

/** A pass that ran for so long was well: its failure is a first one. */
const WELL_AFTER_MS = 30_000

/** `what`: as people call it, "the change stream". */
export function createPasses(log: Logger, what: string): Passes {
  let state: PassesStatus['state'] = 'starting'
  let reason: string | null = null
  let passes = 0
  let hasRun = false

  const started = (): void => {
    state = 'running'
    reason = null
    hasRun = true
  }

  return {
    async run(pass, signal) {
      let failures = 0
      while (!signal.aborted) {
        const startedAtMs = performance.now()
        try {
          passes++
          await pass(signal, started)
          if (!signal.aborted) throw new TrackOpsError('POSTGRES_PROTOCOL', `${what} ended by itself`)
        } catch (error) {
          if (signal.aborted) break
          // What was right once and is not any more (a table was dropped) was changed in the database, and can be mended there.
          const isMendable = hasRun && error instanceof TrackOpsError && error.code === 'CONFIG_INVALID'
          if (retryOf(error) === 'never' && !isMendable) {
            state = 'stopped'
            reason = describeError(error)
            log.error({ reason }, `${what} stopped`)
            throw error
          }
          failures = performance.now() - startedAtMs > WELL_AFTER_MS ? 1 : failures + 1
          state = 'waiting'
          reason = describeError(error)
          const waitMs = isRepairedByRestart(error) && failures < 3 ? 0 : backoffDelayMs(failures)
          log.warn({ reason, waitMs }, `${what} begins anew`)
          await pause(waitMs, signal)
        }
      }
      state = 'stopped'
    },
    status: () => ({ state, reason, passes }),
  }
}

function isRepairedByRestart(error: unknown): boolean {
  const codes = ['POSITION_MISMATCH', 'HISTORY_CHANGED', 'SLOT_LOST', 'OFFSET_GONE']
  return error instanceof TrackOpsError && codes.includes(error.code)
}
