/** For tests: change events told by few words. An LSN is a small number; a transaction that commits at n ends at n + 1. */
import type {
  ChangeEvent,
  History,
  Progress,
  SnapshotPiece,
  StreamItem,
  Transaction,
  TransactionPiece,
} from '../change/change-event.ts'
import { complete, partial, relationOf } from '../change/debezium/fixtures/build.ts'
import { type Lsn, toLsn } from '../change/lsn.ts'
import type { Position } from '../change/position.ts'
import type { Relation } from '../change/relation.ts'
import type { BatchSource } from './batch.ts'
import { createFanOut } from './fan-out.ts'
import type { StreamContext } from './stream-consumer.ts'
import { createTurns } from '../runtime/turns.ts'
import type { Seen, Visibility } from './visibility.ts'

export const ITEMS: Relation = relationOf({
  name: ['public', 'items'],
  identity: 'full',
  columns: { id: 'text', owner: 'text', status: 'text', details: 'jsonb' },
})

export const lsn = (number: number): Lsn => toLsn(BigInt(number))
export const place = (commit: number, ordinal = 0): Position => ({ commitLsn: lsn(commit), ordinal })

export interface ItemRow {
  readonly id: string
  readonly owner?: string | null
  readonly status?: string | null
  readonly details?: string | null
}

type Told = (head: Pick<ChangeEvent, 'position' | 'lsn' | 'transaction'>) => ChangeEvent

const texts = (row: ItemRow): readonly (string | null)[] => [
  row.id,
  row.owner ?? null,
  row.status ?? null,
  row.details ?? null,
]
const image = (row: ItemRow) => complete(ITEMS, ...texts(row))

export const insert =
  (row: ItemRow): Told =>
  (head) => ({ op: 'c', ...head, relation: ITEMS, after: image(row) })
export const update =
  (before: ItemRow, after: ItemRow): Told =>
  (head) => ({ op: 'u', ...head, relation: ITEMS, before: image(before), after: image(after) })
export const remove =
  (row: ItemRow): Told =>
  (head) => ({ op: 'd', ...head, relation: ITEMS, before: image(row) })
/** An update whose `details` did not change and was not sent (TOAST), and which has no old row. */
export const updateWithoutDetails =
  (row: ItemRow): Told =>
  (head) => ({ op: 'u', ...head, relation: ITEMS, before: null, after: partial(ITEMS, ...texts(row).slice(0, 3)) })
export const truncate = (): Told => (head) => ({ op: 't', ...head, relation: ITEMS })
export const message =
  (isTransactional = true): Told =>
  (head) => ({ op: 'm', ...head, isTransactional, prefix: 'test', content: Buffer.alloc(0) })

export interface PieceOptions {
  /** Default: the commit's number. */
  readonly xid?: number
  readonly isWhole?: boolean
  /** False: more of it follows. Default true. */
  readonly isLast?: boolean
  /** Of its first change. Default 1. */
  readonly firstOrdinal?: number
}

/** Changes of one transaction have the LSNs just below its commit. */
export function transaction(commit: number, told: readonly Told[], options: PieceOptions = {}): TransactionPiece {
  const isLast = options.isLast ?? true
  const firstOrdinal = options.firstOrdinal ?? 1
  const head: Transaction = {
    xid: options.xid ?? commit,
    commitLsn: lsn(commit),
    commitTimeMicros: BigInt(commit) * 1_000_000n,
    previousCommitEndLsn: null,
    origin: null,
  }
  return {
    kind: 'transaction',
    transaction: head,
    changes: told.map((tell, index) =>
      tell({ position: place(commit, firstOrdinal + index), lsn: lsn(commit - 1), transaction: head }),
    ),
    isWhole: options.isWhole ?? (isLast && firstOrdinal === 1),
    endLsn: isLast ? lsn(commit + 1) : null,
    bytes: 100 * told.length,
  }
}

export const progress = (number: number): Progress => ({ kind: 'progress', lsn: lsn(number) })

/** Rows that were there at the slot's consistent point. */
export function snapshot(consistentPoint: number, rows: readonly ItemRow[]): SnapshotPiece {
  const piece = transaction(consistentPoint, [])
  return {
    kind: 'snapshot',
    isLast: true,
    bytes: 100 * rows.length,
    changes: rows.map((row, index) => ({
      op: 'r',
      position: place(consistentPoint - 1, index + 1),
      lsn: lsn(consistentPoint),
      transaction: piece.transaction,
      relation: ITEMS,
      after: image(row),
      marker: index === rows.length - 1 ? 'last' : 'true',
    })),
  }
}

export const HISTORY: History = { systemIdentifier: '7', timeline: 1, slotEpoch: 'first' }
export const LATER_HISTORY: History = { ...HISTORY, slotEpoch: 'second' }

/** Everything is visible at once. `seen` is what a look shows. */
export function visibilityOf(seen?: Seen): Visibility {
  const shown = seen ?? { snapshot: { xmin: 1n, xmax: 1n, running: new Set() }, insertLsn: lsn(0) }
  return {
    wait: (xids) => Promise.resolve(new Map(xids.map((xid) => [xid, BigInt(xid)]))),
    look: () => Promise.resolve(shown),
    newest: () => shown,
    waitForAll: () => Promise.resolve(),
  }
}

export function contextOf(options: Partial<StreamContext> = {}): StreamContext {
  return {
    history: HISTORY,
    resumeLsn: lsn(0),
    visibleBefore: null,
    visibility: visibilityOf(),
    inTurn: createTurns(),
    ...options,
  }
}

/** A stream of one reader that is told what comes. */
export function sourceOf(...items: readonly StreamItem[]): {
  readonly source: BatchSource
  readonly push: (...more: readonly StreamItem[]) => void
  readonly end: () => void
} {
  const fanOut = createFanOut(1)
  const source = fanOut.sources[0]
  if (!source) throw new Error('a fan-out without a lane')
  const push = (...more: readonly StreamItem[]): void => {
    void fanOut.push(more, new AbortController().signal)
  }
  push(...items)
  return { source, push, end: () => fanOut.end() }
}
