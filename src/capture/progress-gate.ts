import { type Lsn, maxLsn } from '../change/lsn.ts'

/**
 * When a `progress` item is due. A busy server with changes elsewhere sends keep-alives by the thousand: they become a few items a
 * second; one that was asked for is not held back. Pure but for its memory; times are given in.
 */
export interface ProgressGate {
  /** A keep-alive, outside of any transaction. */
  noteServer(lsn: Lsn): void
  /** A keep-alive within a transaction: it says nothing, and if it was the answer, the question is still open. */
  noteUseless(): void
  /** A transaction that ends here was handed on: as good as a progress item. */
  noteYielded(lsn: Lsn): void
  /** Consumers would take a transaction that commits here for one that they have: it lies before what was said. */
  isBehind(commitLsn: Lsn): boolean
  /** Somebody wants to know. True if the server has to be asked now. */
  request(): boolean
  /** Asked while a transaction was open, or again before the answer came: the server is to be asked once more. */
  asksAgain(): boolean
  /** How long to wait for messages before `next` has something to give. undefined: it has nothing. */
  waitMs(nowMs: number): number | undefined
  /** What to say now, null for nothing. Call it when all that came before was handed on. */
  next(nowMs: number): Lsn | null
}

/** A quarter of a second: well below anything that a slot's retained WAL depends on. */
const MIN_INTERVAL_MS = 250

export function createProgressGate(startLsn: Lsn): ProgressGate {
  let reached = startLsn
  let said = startLsn
  let saidMs = -Infinity
  let request: 'none' | 'asked' | 'asked-again' | 'answered' = 'none'
  let isToBeAsked = false

  return {
    noteServer(lsn) {
      reached = maxLsn(reached, lsn)
      if (request === 'asked-again') isToBeAsked = true
      if (request !== 'none') request = 'answered'
    },
    noteUseless() {
      if (request !== 'none') isToBeAsked = true
    },
    noteYielded(lsn) {
      reached = maxLsn(reached, lsn)
      said = reached
    },
    isBehind: (commitLsn) => commitLsn < said,
    request() {
      const isFirst = request === 'none'
      request = isFirst ? 'asked' : 'asked-again'
      return isFirst
    },
    asksAgain() {
      const result = isToBeAsked
      isToBeAsked = false
      if (result) request = 'asked'
      return result
    },
    waitMs(nowMs) {
      return reached > said ? Math.max(0, saidMs + MIN_INTERVAL_MS - nowMs) : undefined
    },
    next(nowMs) {
      const isDue = reached > said && nowMs - saidMs >= MIN_INTERVAL_MS
      if (request !== 'answered' && !isDue) return null
      if (request === 'answered') request = 'none'
      said = reached
      saidMs = nowMs
      return reached
    },
  }
}
