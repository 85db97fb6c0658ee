/**
 * Is the other end of the stream still there? TCP alone does not tell for many minutes when the peer's machine is gone, or a
 * firewall forgot the connection. Pure: facts in, verdict out.
 *
 * - `alive`: bytes came lately, or we are not reading (paused), so that silence means nothing.
 * - `ask`: nothing came for a whole status interval; the next status asks for a reply. An idle server sends nothing by itself
 *   as long as we report in time.
 * - `dead`: asked, and nothing came within the time: half-open. Make the connection anew.
 */
export type Liveness = 'alive' | 'ask' | 'dead'

export interface LivenessFacts {
  readonly nowMs: number
  readonly lastInboundMs: number
  readonly isPaused: boolean
  readonly statusIntervalMs: number
  readonly timeoutMs: number
}

export function evaluateLiveness(facts: LivenessFacts): Liveness {
  if (facts.isPaused) return 'alive'
  const silentMs = facts.nowMs - facts.lastInboundMs
  if (silentMs >= facts.timeoutMs) return 'dead'
  return silentMs >= facts.statusIntervalMs ? 'ask' : 'alive'
}

/**
 * How often to report: as asked, but several times within the server's own patience, as it ends the connection when it
 * hears nothing for `wal_sender_timeout` (0: it has endless patience), and while we do not read we do not see it ask.
 */
export function statusIntervalFor(wantedMs: number, walSenderTimeoutMs: number): number {
  if (walSenderTimeoutMs <= 0) return wantedMs
  return Math.max(50, Math.min(wantedMs, Math.floor(walSenderTimeoutMs / 4)))
}
