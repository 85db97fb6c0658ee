import type { Lsn } from '../change/lsn.ts'
import type { Position } from '../change/position.ts'

/** Facts at a start: what the effects' store holds, and how far back the log still reaches. */
export interface ResumeFacts {
  /** The stored position, if it is of this history. */
  readonly stored: Position | undefined
  /** The slot's confirmed position: nothing before it can be had again. */
  readonly resumeLsn: Lsn
  /** Where the log ends, if that is known: a position beyond it is of a log that has lost its last records. */
  readonly endLsn?: Lsn | null
  /** Where to begin if the position cannot be continued; default: `resumeLsn`. */
  readonly beginLsn?: Lsn | undefined
}

/**
 * What follows from the position that was found (L2).
 * - continue: the log reaches back to it; what comes again is skipped.
 * - forget: it is missing, of another history, behind what the log still has, or beyond its end. Between it and the log lie changes that nobody
 *   will ever deliver: no entry can be trusted.
 */
export type Resume =
  | { readonly kind: 'continue'; readonly from: Position }
  | { readonly kind: 'forget'; readonly from: Position }

export function decideResume(facts: ResumeFacts): Resume {
  const { stored, resumeLsn, endLsn = null, beginLsn = resumeLsn } = facts
  if (stored === undefined || stored.commitLsn < resumeLsn || (endLsn !== null && stored.commitLsn > endLsn)) {
    return { kind: 'forget', from: { commitLsn: beginLsn, ordinal: 0 } }
  }
  return { kind: 'continue', from: stored }
}
