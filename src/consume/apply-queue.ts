import type { Batch, BatchOutcome, CacheProtocol, RefillKey } from '../cache/protocol.ts'
import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { describeError, retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'

export interface ApplyQueueDeps {
  readonly protocol: Pick<CacheProtocol, 'apply'>
  readonly log: Logger
  /** Called when Redis does not take a batch, with the reason, and with null when it does again. */
  readonly onWaiting: (reason: string | null) => void
  /** Called once, with what made a batch fail for good: nothing may be added for a long time that would bring it to light. */
  readonly onFailed: (error: unknown) => void
}

/**
 * Sends batches to Redis in order, several on their way at once: each names the position that it continues from, so one that
 * fails stops those behind it. What Redis did not take is sent again, one at a time, until it does (L6).
 */
export interface ApplyQueue {
  /** Resolves when the batch may be prepared further: at most `depth` are on their way. */
  add(batch: Batch, done: (refill: readonly RefillKey[]) => void): Promise<void>
  /** Resolves when all that was added has been applied. @throws what made one of them fail for good */
  drain(): Promise<void>
  /** Resolves when nothing is on its way any more, applied or not; after the signal that is soon. Never rejects. */
  idle(): Promise<void>
}

interface Entry {
  readonly batch: Batch
  readonly done: (refill: readonly RefillKey[]) => void
  attempt: Promise<Attempt>
  /** An attempt had no answer: Redis may have applied it all the same. */
  isDoubtful: boolean
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
    if (isRepeated) await sendAgain()
  }

  /** What was sent behind a failed batch was refused for its position: once more, now that it fits. */
  async function sendAgain(): Promise<void> {
    for (const later of waiting) {
      const previous = await later.attempt
      // Added meanwhile, behind those that went out again: it has found its place, and would not fit a second time.
      if ('outcome' in previous && previous.outcome.ok) continue
      if ('error' in previous) later.isDoubtful = true
      later.attempt = send(later.batch)
    }
  }

  /** True if it took more than one attempt. */
  async function applied(entry: Entry): Promise<boolean> {
    for (let failures = 0; ; failures++) {
      const attempt = await entry.attempt
      if ('outcome' in attempt) {
        if (failures > 0) deps.onWaiting(null)
        if (attempt.outcome.ok) entry.done(attempt.outcome.refill)
        // The reply to an earlier attempt was lost, not its effect. Which keys it wanted filled is lost too: they are absent.
        else if (entry.isDoubtful && hasReached(waiting, attempt.outcome)) entry.done([])
        else throw mismatch(entry.batch, attempt.outcome)
        return failures > 0
      }
      if (signal.aborted || retryOf(attempt.error) !== 'timed') throw attempt.error
      entry.isDoubtful = true
      deps.onWaiting(describeError(attempt.error))
      if (failures === 0)
        deps.log.warn({ reason: describeError(attempt.error) }, 'Redis does not take changes, waiting')
      // Those behind it must have been answered before it goes out again, or they would overtake it.
      await Promise.all(waiting.map((later) => later.attempt))
      if (!(await pause(backoffDelayMs(failures + 1, { maxMs: 2_000 }), signal))) throw attempt.error
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
        deps.onFailed(error)
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
      waiting.push({ batch, done, attempt: send(batch), isDoubtful: false })
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
    async idle() {
      await working
      await Promise.all(waiting.map((entry) => entry.attempt))
    },
  }
}

/**
 * True if Redis stands where the first of these batches, or one that was sent behind it, leads: then the first was applied.
 * A connection that breaks takes the replies of all that was on its way.
 */
function hasReached(sent: readonly Entry[], outcome: Extract<BatchOutcome, { ok: false }>): boolean {
  const { invalidator, warmer } = outcome.stored
  const isReached = (stored: string | null, other: Batch['role']): boolean =>
    sent.some(({ batch }) => batch.role !== other && batch.to === stored)
  const role = sent[0]?.batch.role
  return (
    (role === 'warm' || isReached(invalidator, 'warm')) && (role === 'invalidate' || isReached(warmer, 'invalidate'))
  )
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
