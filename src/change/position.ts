import { type Lsn, lsnFromFixedHex, lsnToFixedHex, LSN_ZERO } from './lsn.ts'

/**
 * Where a change event stands in the stream: the LSN of its transaction's commit record, and its number within the
 * transaction, from 1. A total order, in the order of delivery, and finer than an event's own LSN: the rows of one COPY
 * share an LSN. A consumer's position is that of the last event that it has processed.
 *
 * In a partition of a topic an event's offset stands in the place of the commit LSN, ordinal 1 (group-changes.ts): both are places
 * in a log that grows, and only places in the same log are ever compared (a stored position names its history).
 */
export interface Position {
  readonly commitLsn: Lsn
  readonly ordinal: number
}

export const POSITION_ZERO: Position = { commitLsn: LSN_ZERO, ordinal: 0 }

export function comparePositions(a: Position, b: Position): number {
  if (a.commitLsn !== b.commitLsn) return a.commitLsn < b.commitLsn ? -1 : 1
  return a.ordinal - b.ordinal
}

const ORDINAL_DIGITS = 10

/** Fixed width, `0000000001D2F3A8/0000000003`, so that the texts sort as the positions do, in Lua too. */
export function formatPosition(position: Position): string {
  return `${lsnToFixedHex(position.commitLsn)}/${String(position.ordinal).padStart(ORDINAL_DIGITS, '0')}`
}

/** @throws RangeError unless the text is what `formatPosition` writes */
export function parsePosition(text: string): Position {
  const match = /^([0-9A-F]{16})\/(\d{10})$/.exec(text)
  if (!match) throw new RangeError(`not a position: ${JSON.stringify(text)}`)
  return { commitLsn: lsnFromFixedHex(match[1] ?? ''), ordinal: Number(match[2]) }
}
