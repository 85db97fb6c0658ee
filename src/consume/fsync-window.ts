import type { Lsn } from '../change/lsn.ts'

/**
 * When is an effect in Redis safe? Redis with `appendfsync everysec` may lose about its last second. Acks stay behind by that
 * window, so that a crash of Redis is a rewind of the log and not a forgotten cache (L2).
 */
export interface FsyncWindow {
  /** Redis has taken everything that commits before `lsn`. */
  applied(lsn: Lsn): void
  /** What was applied at least one window ago; null before that. */
  durableLsn(): Lsn | null
}

/** `now`: milliseconds of a clock that never jumps: one that did would ack too early. */
export function createFsyncWindow(options: { readonly windowMs: number; readonly now: () => number }): FsyncWindow {
  const { windowMs, now } = options
  // At most one entry each tenth of the window: what lies between is durable a little later than it could be.
  const entries: { lsn: Lsn; atMs: number; readonly sinceMs: number }[] = []
  let durable: Lsn | null = null

  function settle(atMs: number): void {
    while (entries[0] && entries[0].atMs <= atMs - windowMs) {
      durable = entries[0].lsn
      entries.shift()
    }
  }

  return {
    applied(lsn) {
      const atMs = now()
      // Also where nobody asks: there are never more than about ten entries.
      settle(atMs)
      const last = entries.at(-1)
      if (last && atMs - last.sinceMs < windowMs / 10) {
        last.lsn = lsn
        last.atMs = atMs
      } else entries.push({ lsn, atMs, sinceMs: atMs })
    },
    durableLsn() {
      settle(now())
      return durable
    },
  }
}
