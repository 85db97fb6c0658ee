import type { Sql } from 'postgres'

import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import type { Logger } from '../runtime/logger.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'
import { codeOf, safeMessage } from './event-handling.ts'
import { createWakeUp } from './wake-up.ts'

export interface RepeatOptions {
  /** A NOTIFY on this channel ends a wait. */
  readonly channel: string
  /** Upper bound of a wait. */
  readonly pollMs: number
  readonly signal: AbortSignal
}

/** Runs `step` until the signal aborts; a step that did nothing is followed by a wait, a failed one by a pause. */
export async function repeatStep(
  deps: { readonly sql: Sql; readonly log: Logger },
  { channel, pollMs, signal }: RepeatOptions,
  step: () => Promise<number>,
): Promise<void> {
  const wakeUp = createWakeUp(deps.sql, channel, deps.log)
  let failures = 0
  try {
    while (!signal.aborted) {
      try {
        const done = await step()
        failures = 0
        if (done === 0) await wakeUp.next(pollMs, signal)
      } catch (error) {
        if (signal.aborted) return
        const known = fromPostgres(error, 'reading domain events')
        const waitMs = backoffDelayMs(failures++)
        deps.log.warn({ waitMs, error: safeMessage(known), code: codeOf(known) }, 'domain events wait')
        await pause(waitMs, signal)
      }
    }
  } finally {
    await wakeUp.close()
  }
}
