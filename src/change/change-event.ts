import type { Lsn } from './lsn.ts'
import type { Position } from './position.ts'
import type { Relation } from './relation.ts'
import type { RowImage } from './row-image.ts'

/**
 * One change of one row (or one TRUNCATE of one table, or one logical message), with Debezium's op letters. This is the
 * vocabulary of everything downstream; `debezium/` turns it into Debezium's JSON where that form is asked for.
 */
export type ChangeEvent = Insert | Update | Delete | SnapshotRead | Truncate | LogicalMessage

interface Change {
  readonly position: Position
  /** Start of the change's WAL record. Rows of one COPY share it. For a snapshot row, the slot's consistent point. */
  readonly lsn: Lsn
  readonly transaction: Transaction
  /**
   * In a piece that is not whole: whether the same transaction changes this row again later, so that no reader can ever have
   * seen this state of it. Left out where nobody has looked.
   */
  readonly isSuperseded?: boolean
}

interface TableChange extends Change {
  readonly relation: Relation
}

export interface Insert extends TableChange {
  readonly op: 'c'
  /**
   * Complete from the log itself. From Debezium's records it may be partial: the second half of a changed key lacks
   * unchanged TOAST values, and a record from before ADD COLUMN, or one with a generated column, lacks that.
   */
  readonly after: RowImage
}

/** A key change is one Update whose `before` has the old key; Debezium's form of it is three records. */
export interface Update extends TableChange {
  readonly op: 'u'
  /** The old tuple if the server sent one (identity FULL: all of it; otherwise only if the identity changed). */
  readonly before: RowImage | null
  readonly after: RowImage
}

export interface Delete extends TableChange {
  readonly op: 'd'
  readonly before: RowImage
}

/** A row that was there before the stream began. It never is a value or a version in the cache (PROTOCOL.md). */
export interface SnapshotRead extends TableChange {
  readonly op: 'r'
  /** Complete from a table itself; from Debezium's records as with an insert. */
  readonly after: RowImage
  readonly marker: SnapshotMarker
}

export type SnapshotMarker = 'first' | 'first_in_data_collection' | 'true' | 'last_in_data_collection' | 'last'

export interface Truncate extends TableChange {
  readonly op: 't'
}

/** `pg_logical_emit_message`. A non-transactional one carries `transaction.xid` 0 and belongs to no commit. */
export interface LogicalMessage extends Change {
  readonly op: 'm'
  readonly isTransactional: boolean
  readonly prefix: string
  readonly content: Buffer
}

export interface Transaction {
  /** 32 bits, unsigned, top level. */
  readonly xid: number
  /** LSN of the commit record; for a snapshot, the consistent point. */
  readonly commitLsn: Lsn
  /** Where the server says that it begins: at the change that made it send anything. Only from the log itself. */
  readonly beginLsn?: Lsn
  /** Microseconds since 1970-01-01 UTC. */
  readonly commitTimeMicros: bigint
  /** End LSN of the commit before this one in the stream, if one was seen since the slot was made. */
  readonly previousCommitEndLsn: Lsn | null
  readonly origin: { readonly name: string; readonly lsn: Lsn } | null
}

/** What capture hands on, in order. */
export type StreamItem = TransactionPiece | SnapshotPiece | Progress

/**
 * A committed transaction, or, where it is too large to hold, a piece of one. Pieces come in order, nothing between
 * them. Within a piece that is not whole, states may appear that no reader could have seen: only a change that is known not to
 * be superseded may warm; the others invalidate and refresh.
 */
export interface TransactionPiece {
  readonly kind: 'transaction'
  readonly transaction: Transaction
  readonly changes: readonly ChangeEvent[]
  /** True if `changes` is all of the transaction, and nothing newer came before it. */
  readonly isWhole: boolean
  /** On the last (or only) piece, where the commit record ends: the LSN to ack once its effects are safe. Else null. */
  readonly endLsn: Lsn | null
  /** Approximate size in memory. */
  readonly bytes: number
}

export interface SnapshotPiece {
  readonly kind: 'snapshot'
  /**
   * The snapshot's consistent point, where it is news that there is one: a slot was made, so before this piece may lie changes that
   * the log has not got. Nothing at or below it may be trusted, of the tables in `changes`.
   */
  readonly supersedes?: Lsn
  readonly changes: readonly SnapshotRead[]
  readonly isLast: boolean
  readonly bytes: number
}

/** Nothing that commits before this LSN is still to come. An idle database moves its slot by these. */
export interface Progress {
  readonly kind: 'progress'
  readonly lsn: Lsn
}

/**
 * The history in which LSNs and xids mean something. Any difference makes everything older unknown: forget (PROTOCOL.md,
 * "Visible before processed"). `slotEpoch` is ours: a new random id whenever the slot is created.
 */
export interface History {
  readonly systemIdentifier: string
  readonly timeline: number
  readonly slotEpoch: string
}
