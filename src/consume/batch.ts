import type { ChangeEvent, StreamItem } from '../change/change-event.ts'
import { comparePositions, type Position } from '../change/position.ts'

/** What the stream delivered since a consumer last asked: as much as there is, up to its bounds, without waiting for more. */
export interface BatchSource {
  /**
   * Where the reader goes on; called once, before the first `next`. A log that begins by itself, at or before every reader's
   * position, has none.
   */
  seek?(from: Position): void
  /** undefined when the stream has ended. */
  next(limits: BatchLimits, signal: AbortSignal): Promise<readonly StreamItem[] | undefined>
}

export interface BatchLimits {
  /** Change events at most; at least one item is delivered whatever its size. */
  readonly changes: number
}

/** The part of a batch that a consumer has not processed yet, and where it stands after it. */
export interface Unprocessed {
  readonly items: readonly StreamItem[]
  readonly to: Position
  readonly changeCount: number
}

/**
 * Leaves out what lies at or before `from`, or before what came earlier in the same batch: redelivered after a restart, or because a
 * stream broke while its consumer had not come to what it had brought. Of a key's changes the last counts, so none may come again
 * behind a later one (P3).
 *
 * After the last piece of a transaction the position is its end LSN with ordinal 0: every change that commits later is behind that, and
 * the slot may be acked up to it.
 */
export function unprocessed(items: readonly StreamItem[], from: Position): Unprocessed {
  const kept: StreamItem[] = []
  let to = from
  let changeCount = 0
  const reach = (position: Position): void => {
    if (comparePositions(position, to) > 0) to = position
  }
  for (const item of items) {
    if (item.kind === 'progress') {
      reach({ commitLsn: item.lsn, ordinal: 0 })
      continue
    }
    if (item.kind === 'snapshot') {
      kept.push(item)
      changeCount += item.changes.length
      continue
    }
    // In order: where the first is behind what was reached, all are.
    const [first] = item.changes
    const isNew = first === undefined || isAfter(first, to)
    const changes = isNew ? item.changes : item.changes.filter((change) => isAfter(change, to))
    if (changes.length > 0) {
      kept.push(changes.length === item.changes.length ? item : { ...item, changes })
      changeCount += changes.length
      const last = changes.at(-1)
      if (last) reach(last.position)
    }
    if (item.endLsn !== null) reach({ commitLsn: item.endLsn, ordinal: 0 })
  }
  return { items: kept, to, changeCount }
}

function isAfter(change: ChangeEvent, position: Position): boolean {
  return comparePositions(change.position, position) > 0
}
