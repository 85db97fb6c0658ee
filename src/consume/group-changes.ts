import type { ChangeEvent, SnapshotRead, StreamItem, TransactionPiece } from '../change/change-event.ts'
import type { Lsn } from '../change/lsn.ts'

/** A record of a topic, read. */
export interface PartitionChange {
  readonly change: ChangeEvent
  /** Tells rows apart: the record's key. */
  readonly rowKey: string
  readonly bytes: number
}

/**
 * From the changes of one partition, in its order, back to transactions. A topic does not say where a transaction ends, but a
 * partition has the changes of one in a row: once another follows, all of it that is here has come. Of the last one more may
 * be on its way, so none of its states is known to be one that a reader can see: it comes as a piece, which invalidates and refills.
 * Under load that is one transaction a fetch.
 *
 * Pure. `snapshotSeen`: consistent point of the snapshot that the changes before these belong to, if they did.
 */
export function groupChanges(changes: readonly PartitionChange[], snapshotSeen: Lsn | null): readonly StreamItem[] {
  const items: StreamItem[] = []
  let seen = snapshotSeen
  for (let from = 0; from < changes.length;) {
    const first = changes[from]?.change
    if (!first) break
    const isSame = ({ change }: PartitionChange): boolean =>
      first.op === 'r'
        ? change.op === 'r' && change.lsn === first.lsn
        : change.op !== 'r' && change.transaction.xid === first.transaction.xid
    let to = from + 1
    for (let next = changes[to]; next && isSame(next); next = changes[++to]);
    const group = changes.slice(from, to)
    if (first.op === 'r') {
      items.push(snapshotPiece(group, first.lsn, seen))
      seen = first.lsn
    } else items.push(transactionPiece(group, first, to < changes.length))
    from = to
  }
  return items
}

function snapshotPiece(group: readonly PartitionChange[], lsn: Lsn, seen: Lsn | null): StreamItem {
  return {
    kind: 'snapshot',
    changes: group.map(({ change }) => change).filter((change): change is SnapshotRead => change.op === 'r'),
    // Which row of a snapshot is the last in this partition, no record says.
    isLast: false,
    bytes: bytesOf(group),
    ...(lsn === seen ? {} : { supersedes: lsn }),
  }
}

function transactionPiece(group: readonly PartitionChange[], first: ChangeEvent, isWhole: boolean): TransactionPiece {
  const last = group.at(-1)?.change ?? first
  return {
    kind: 'transaction',
    transaction: first.transaction,
    changes: isWhole ? group.map(({ change }) => change) : withSuperseded(group),
    isWhole,
    // The record after the last: everything before it has come.
    endLsn: after(last),
    bytes: bytesOf(group),
  }
}

function withSuperseded(group: readonly PartitionChange[]): readonly ChangeEvent[] {
  const later = new Set<string>()
  return group
    .toReversed()
    .map(({ change, rowKey }) => {
      if (later.has(rowKey)) return { ...change, isSuperseded: true }
      later.add(rowKey)
      return change
    })
    .toReversed()
}

function after({ position }: ChangeEvent): Lsn {
  return (position.commitLsn + 1n) as Lsn
}

function bytesOf(group: readonly PartitionChange[]): number {
  return group.reduce((sum, { bytes }) => sum + bytes, 0)
}
