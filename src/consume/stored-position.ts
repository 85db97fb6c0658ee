import type { History } from '../change/change-event.ts'
import { formatPosition, parsePosition, type Position } from '../change/position.ts'

/**
 * A consumer's position as it is stored beside its effects: `<history>|<position>`. An LSN means something only within
 * its history, so a position of another one is no position at all.
 */
export function formatStoredPosition(history: History, position: Position): string {
  return `${formatHistory(history)}|${formatPosition(position)}`
}

/** The position, of whatever history. @throws RangeError if the text is none of ours */
export function positionOf(stored: string): Position {
  return parsePosition(stored.slice(stored.lastIndexOf('|') + 1))
}

/** `<system identifier>.<timeline>.<slot epoch>` */
export function formatHistory(history: History): string {
  return `${history.systemIdentifier}.${history.timeline}.${history.slotEpoch}`
}

/** undefined if the text is of another history, or is none of ours. */
export function positionWithin(history: History, stored: string | null): Position | undefined {
  if (stored === null) return undefined
  const bar = stored.lastIndexOf('|')
  if (stored.slice(0, bar) !== formatHistory(history)) return undefined
  try {
    return positionOf(stored)
  } catch {
    return undefined
  }
}
