import type { Batch, BatchOutcome, CacheProtocol, RefillKey } from '../cache/protocol.ts'
import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { describeError, retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'

export interface ApplyQueueDeps {
  readonly protocol: CacheProtocol
  readonly log: Logger
  /** Called when Redis does not take a batch, with the reason, and with null when it does again. */
  readonly onWaiting: (reason: string | null) => void
}

/**
 * Sends batches to Redis in order, several on their way at once: each names the position that it continues from, so one that
 * fails stops those behind it. What Redis did not take is sent again, one at a time, until it does (L6).
 */
export interface ApplyQueue {
  /** Resolves when the batch may be prepared further: at most `depth` are on their way. */
  add(batch: Batch, done: (refill: readonly RefillKey[]) => void, signal: AbortSignal): Promise<void>
  /** Resolves when all that was added has been applied. @throws what made one of them fail for good */
  drain(): Promise<void>
}

interface Entry {
  readonly batch: Batch
  readonly done: (refill: readonly RefillKey[]) => void
  attempt: Promise<Attempt>
}

type Attempt = { readonly outcome: BatchOutcome } | { readonly error: unknown }

/** Three on their way keep Redis and this process busy at the same time; more only lengthens what a failure repeats. */
const DEPTH = 3

export function createApplyQueue(deps: ApplyQueueDeps, signal: AbortSignal): ApplyQueue {
  const waiting: Entry[] = []
  let failed: { readonly error: unknown } | undefined
  let working: Promise<void> = Promise.resolve()
  let wake: (() => void) | undefined

  function send(batch: Batch): Promise<Attempt> {
    return deps.protocol.apply(batch).then(
      (outcome) => ({ outcome }),
      (error: unknown) => ({ error }),
    )
  }

  /** Settles the oldest batch. */
  async function settle(entry: Entry): Promise<void> {
    const isRepeated = await applied(entry)
    waiting.shift()
    // What was sent behind a failed batch was refused for its position: once more, now that it fits.
    if (isRepeated) {
      for (const later of waiting) {
        await later.attempt
        later.attempt = send(later.batch)
      }
    }
  }

  /** True if it took more than one attempt. */
  async function applied(entry: Entry): Promise<boolean> {
    for (let failures = 0; ; failures++) {
      const attempt = await entry.attempt
      if ('outcome' in attempt) {
        if (failures > 0) deps.onWaiting(null)
        if (attempt.outcome.ok) entry.done(attempt.outcome.refill)
        // The reply to an earlier attempt was lost, not its effect.
        else if (failures > 0 && hasReached(entry.batch, attempt.outcome)) entry.done([])
        else throw mismatch(entry.batch, attempt.outcome)
        return failures > 0
      }
      if (signal.aborted || retryOf(attempt.error) !== 'timed') throw attempt.error
      deps.onWaiting(describeError(attempt.error))
      if (failures === 0)
        deps.log.warn({ reason: describeError(attempt.error) }, 'Redis does not take changes, waiting')
      // Those behind it must have been answered before it goes out again, or they would overtake it.
      await Promise.all(waiting.map((later) => later.attempt))
      await pause(backoffDelayMs(failures + 1, { maxMs: 2_000 }), signal)
      entry.attempt = send(entry.batch)
    }
  }

  function work(): void {
    working = working.then(async () => {
      const entry = waiting[0]
      if (failed || !entry) return
      try {
        await settle(entry)
      } catch (error) {
        failed = { error }
      }
      wake?.()
    })
  }

  function throwIfFailed(): void {
    if (failed) throw failed.error
  }

  return {
    async add(batch, done) {
      throwIfFailed()
      waiting.push({ batch, done, attempt: send(batch) })
      work()
      while (waiting.length >= DEPTH && !failed) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      throwIfFailed()
    },
    async drain() {
      await working
      throwIfFailed()
    },
  }
}

function hasReached(batch: Batch, outcome: Extract<BatchOutcome, { ok: false }>): boolean {
  const { invalidator, warmer } = outcome.stored
  if (batch.role === 'invalidate') return invalidator === batch.to
  if (batch.role === 'warm') return warmer === batch.to
  return invalidator === batch.to && warmer === batch.to
}

function mismatch(batch: Batch, outcome: Extract<BatchOutcome, { ok: false }>): TrackOpsError {
  return new TrackOpsError('POSITION_MISMATCH', 'Redis holds another position than this consumer has reached', {
    details: {
      role: batch.role,
      invalidator: outcome.stored.invalidator,
      warmer: outcome.stored.warmer,
      expectedInvalidator: batch.from.invalidator ?? null,
      expectedWarmer: batch.from.warmer ?? null,
    },
  })
}
