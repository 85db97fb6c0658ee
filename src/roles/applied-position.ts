import type { Lsn } from '../change/lsn.ts'
import { pause } from '../runtime/backoff.ts'

/**
 * Lets readers wait until the cache has everything that commits before an LSN (L7). On an idle database nothing would come, so
 * the server is asked how far it has got, again and again while somebody waits.
 */
export interface AppliedPosition {
  /**
   * A consumer of the cache has processed everything that commits before `lsn`. Where two do, apart, the one ahead counts: nothing
   * older than what any of them has processed is cached (P3).
   */
  advance(lsn: Lsn): void
  /** True when it has; false when the signal came first. */
  waitFor(lsn: Lsn, signal: AbortSignal): Promise<boolean>
  lsn(): Lsn | null
  /** Positions of another history follow: what was reached before says nothing about them. */
  reset(): void
}

/** Usually the commit itself is under way and arrives within the first pause; only then is there something to ask. */
const ASK_AGAIN_MS = [2, 5, 10, 20]

export function createAppliedPosition(requestProgress: () => void): AppliedPosition {
  let reached: Lsn | null = null
  let isAsking = false
  const waiters = new Set<{ readonly lsn: Lsn; readonly wake: () => void }>()

  async function ask(): Promise<void> {
    if (isAsking) return
    isAsking = true
    try {
      for (let times = 0; waiters.size > 0; times++) {
        await pause(ASK_AGAIN_MS[Math.min(times, ASK_AGAIN_MS.length - 1)] ?? 20)
        if (waiters.size > 0) requestProgress()
      }
    } finally {
      isAsking = false
    }
  }

  return {
    advance(lsn) {
      if (reached === null || lsn > reached) reached = lsn
      for (const waiter of waiters) if (waiter.lsn <= lsn) waiter.wake()
    },
    async waitFor(lsn, signal) {
      if (reached !== null && reached >= lsn) return true
      if (signal.aborted) return false
      const isReached = await new Promise<boolean>((resolve) => {
        const end = (result: boolean): void => {
          waiters.delete(waiter)
          signal.removeEventListener('abort', onAbort)
          resolve(result)
        }
        const onAbort = (): void => end(false)
        const waiter = { lsn, wake: () => end(true) }
        waiters.add(waiter)
        signal.addEventListener('abort', onAbort, { once: true })
        void ask()
      })
      return isReached
    },
    lsn: () => reached,
    reset() {
      reached = null
    },
  }
}
