import type { RefillKey } from '../cache/protocol.ts'
import { describeError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'

/** Fills run beside the stream, one after the other; the stream waits where they cannot keep up. */
export interface Refills {
  add(keys: readonly RefillKey[]): void
  /** Resolves when not too much is waiting: this is what holds the stream back. */
  room(): Promise<void>
  /** Resolves when none is under way. Never rejects. */
  idle(): Promise<void>
}

export interface RefillsDeps {
  /** What it cannot fill stays absent, which is right. */
  readonly refill: (keys: readonly RefillKey[], signal: AbortSignal) => Promise<void>
  readonly log: Logger
}

/** Some megabytes of keys. */
const MAX_WAITING_KEYS = 5_000

/** After the signal what still waits is dropped: a key that nobody fills is absent. */
export function createRefills(deps: RefillsDeps, signal: AbortSignal): Refills {
  let waitingKeys = 0
  let working: Promise<void> = Promise.resolve()

  async function fill(keys: readonly RefillKey[]): Promise<void> {
    try {
      if (!signal.aborted) await deps.refill(keys, signal)
    } catch (error) {
      if (!signal.aborted) deps.log.warn({ keys: keys.length, error: describeError(error) }, 'keys were not filled')
    } finally {
      waitingKeys -= keys.length
    }
  }

  return {
    add(keys) {
      if (keys.length === 0) return
      waitingKeys += keys.length
      working = working.then(() => fill(keys))
    },
    async room() {
      if (waitingKeys > MAX_WAITING_KEYS) await working
    },
    idle: () => working,
  }
}
