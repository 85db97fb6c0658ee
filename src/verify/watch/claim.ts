/** Pure: does an entry that differs from the database claim to be current? Then it is wrong; otherwise it is stale. */
import type { Lsn } from '../../change/lsn.ts'
import { isVisible, parseSnapshot } from '../../change/transaction-id.ts'
import type { EntryVersion } from '../entry-version.ts'

export interface Known {
  /** The transaction that made the row as it is now; undefined: there is no row. */
  readonly rowXid: bigint | undefined
  /** Nothing that was written is beyond these. */
  readonly xmax: bigint
  readonly insertLsn: Lsn
}

/**
 * Made from the change that made the row what it is, or read when that was visible, or from something that has not happened yet:
 * no change will ever come to replace it. Numbers of transactions say nothing about their order, so only equality counts.
 */
export function claimsCurrent(version: EntryVersion, { rowXid, xmax, insertLsn }: Known): boolean {
  if (version.kind === 'change') return version.xid === rowXid || version.xid >= xmax || version.lsn > insertLsn
  const snapshot = parseSnapshot(version.snapshot)
  return snapshot.xmax > xmax || (rowXid !== undefined && isVisible(rowXid, snapshot))
}
