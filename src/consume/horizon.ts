import type { Lsn } from '../change/lsn.ts'
import type { Seen } from './visibility.ts'

/**
 * Below which transaction id has a consumer processed everything? A snapshot is taken, with the WAL insert position
 * after it: what finished before the snapshot has its commit record before that position. Once the consumer has
 * processed up to there, all transactions below the snapshot's xmin are behind it.
 */
export interface Horizon {
  /** The consumer has processed everything that commits before `lsn`; `newest` is the latest snapshot at hand. */
  reached(lsn: Lsn, newest: Seen | undefined): void
  xid(): bigint | null
}

export function createHorizon(initial: bigint | null): Horizon {
  let horizon = initial
  let candidate: Seen | undefined
  return {
    reached(lsn, newest) {
      if (candidate && lsn >= candidate.insertLsn) {
        horizon = candidate.snapshot.xmin
        candidate = undefined
      }
      candidate ??= newest
    },
    xid: () => horizon,
  }
}
