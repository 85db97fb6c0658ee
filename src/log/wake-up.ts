import type { Sql } from 'postgres'

import type { Logger } from '../runtime/logger.ts'

/**
 * Waits for a NOTIFY on a channel, or for a bound: notifications are lost while the connection is down, so they only
 * make things faster, and nothing rests on them.
 */
export interface WakeUp {
  /** Resolves at the next notification, after `atMostMs`, or when the signal aborts; at once if one came since the last call. */
  next(atMostMs: number, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export function createWakeUp(sql: Sql, channel: string, log: Logger): WakeUp {
  let rang = false
  let ring: (() => void) | undefined
  const notified = (): void => {
    rang = true
    ring?.()
  }
  const listening = sql.listen(channel, notified, notified).catch((error: unknown) => {
    log.warn({ channel, error: error instanceof Error ? error.message : 'unknown' }, 'cannot listen, polling instead')
    return undefined
  })

  return {
    async next(atMostMs, signal) {
      if (!rang && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            clearTimeout(timer)
            signal.removeEventListener('abort', done)
            ring = undefined
            resolve()
          }
          const timer = setTimeout(done, atMostMs)
          signal.addEventListener('abort', done, { once: true })
          ring = done
        })
      }
      rang = false
    },
    async close() {
      const subscription = await listening
      await subscription?.unlisten().catch(() => undefined)
    },
  }
}
