import type { Transaction } from '../change/change-event.ts'
import type { Lsn } from '../change/lsn.ts'

/**
 * Tells, in a partition of a change topic, a transaction that comes again. A connector that was killed goes on from the offset that it
 * stored last, so it sends a second time what it has sent since, behind newer transactions. Each record names the commit before its
 * own (`source.sequence`), and in the log's order that one never goes back.
 */
export interface CommitOrder {
  /** Also true of one that names no commit behind others that do: it may be. */
  comesAgain(transaction: Pick<Transaction, 'previousCommitEndLsn'>): boolean
  /** Another log begins. */
  reset(): void
}

export function createCommitOrder(): CommitOrder {
  let furthest: Lsn | null = null
  return {
    comesAgain({ previousCommitEndLsn: previous }) {
      if (furthest !== null && (previous === null || previous < furthest)) return true
      furthest = previous
      return false
    },
    reset() {
      furthest = null
    },
  }
}
