import type { Lsn } from '../change/lsn.ts'
import { evaluateLiveness } from './liveness.ts'
import type { ReplicationStream } from './replication-stream.ts'

/** Acks within this time share one status update. */
const REPORT_SOON_MS = 100

export interface StatusReporter {
  reportSoon(): void
  stop(): void
}

/**
 * Tells the server what was acked: at every interval, soon after an ack, and at once when asked; whether the consumer pulls
 * or not. Ends a connection that is half-open.
 */
export function createStatusReporter(
  deps: { readonly stream: ReplicationStream; readonly ackedLsn: () => Lsn; readonly end: () => void },
  options: { readonly statusIntervalMs: number; readonly livenessTimeoutMs: number },
): StatusReporter {
  const { stream, ackedLsn, end } = deps
  const { statusIntervalMs, livenessTimeoutMs: timeoutMs } = options
  let soon: NodeJS.Timeout | undefined

  function onInterval(): void {
    const { isPaused, lastInboundMs } = stream.facts()
    const liveness = evaluateLiveness({
      nowMs: performance.now(),
      lastInboundMs,
      isPaused,
      statusIntervalMs,
      timeoutMs,
    })
    if (liveness === 'dead') end()
    else stream.sendStatus(ackedLsn(), liveness === 'ask')
  }

  const interval = setInterval(onInterval, statusIntervalMs)
  stream.onReplyRequested(() => stream.sendStatus(ackedLsn(), false))
  // at once, so that the server knows from the start what was acked before the connection broke
  stream.sendStatus(ackedLsn(), false)

  return {
    reportSoon() {
      soon ??= setTimeout(() => {
        soon = undefined
        stream.sendStatus(ackedLsn(), false)
      }, REPORT_SOON_MS)
    },
    stop() {
      clearInterval(interval)
      clearTimeout(soon)
    },
  }
}
