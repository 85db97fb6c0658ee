import { type Lsn, lsnToFixedHex } from '../change/lsn.ts'
import { parseSnapshot, showsAll, type Snapshot } from '../change/transaction-id.ts'

/**
 * What the database showed when Redis was found to have lost writes. All that anyone had been answered until then is in it, while the marks of
 * those answers are lost with the rest. So an entry is answered only if it shows at least as much (P2); what does not is read anew.
 */
export interface Floor {
  readonly snapshot: Snapshot
  /** WAL insert LSN after the snapshot. */
  readonly insertLsn: Lsn
}

/** @param version of an entry, as `Entry` has it */
export function isAtFloor(version: string, floor: Floor): boolean {
  const [, kind, first = ''] = version.split('|')
  // A change that was written behind the floor: its row's changes before it are all contained.
  if (kind === 'e') return first >= lsnToFixedHex(floor.insertLsn)
  return kind === 'r' && showsAll(floor.snapshot, parseSnapshot(first))
}
