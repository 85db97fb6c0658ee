import { setTimeout as pause } from 'node:timers/promises'

import { describeError, type Logger } from '../src/index.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

/**
 * A loop that should only end with the signal, started again when it ends otherwise. The bus tries again by itself what can
 * pass; what it gives up on must not leave a service that answers but no longer listens. Never rejects.
 */
export async function keepRunning(
  deps: { readonly log: Logger; readonly signal: AbortSignal },
  name: string,
  loop: () => Promise<void>,
): Promise<void> {
  const { log, signal } = deps
  let pauseMs = FIRST_PAUSE_MS
  while (!signal.aborted) {
    const startedAt = performance.now()
    try {
      await loop()
      if (signal.aborted) return
      log.warn({ loop: name }, 'a loop ended by itself; it is started again')
    } catch (error) {
      if (signal.aborted) return
      log.error({ loop: name, reason: describeError(error), err: error }, 'a loop failed; it is started again')
    }
    if (performance.now() - startedAt > LONGEST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS
    await pause(pauseMs, undefined, { signal }).catch(() => undefined)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }
}
