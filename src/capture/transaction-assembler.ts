import type {
  ChangeEvent,
  Delete,
  Insert,
  LogicalMessage,
  StreamItem,
  Transaction,
  TransactionPiece,
  Truncate,
  Update,
} from '../change/change-event.ts'
import { formatLsn, type Lsn } from '../change/lsn.ts'
import { qualifiedName, type Relation } from '../change/relation.ts'
import type { CompleteRow, RowImage } from '../change/row-image.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { LogicalDecodingMessage, OldTuple, PgoutputMessage, Tuple } from './pgoutput-messages.ts'

/**
 * From pgoutput's messages to whole transactions, or pieces of those that are too large to hold. No I/O, no clock.
 *
 *     idle --begin--> open --changes--> open --commit--> idle
 *
 * Relations are given in by whoever resolves them against the catalog, before the first row that needs them.
 */
export interface TransactionAssembler {
  /** A relation message was seen and resolved; rows that follow are in this form. */
  describe(relation: Relation): void
  /** @throws TrackOpsError DECODE, POSTGRES_PROTOCOL (a message out of turn) */
  push(message: PgoutputMessage, lsn: Lsn): StreamItem | null
  /** Between begin and commit nothing may be said about progress. */
  isOpen(): boolean
  /** As they are described at this moment. */
  relations(): ReadonlyMap<number, Relation>
}

export interface AssemblerOptions {
  /** Default 20,000 changes: some 20 MiB of row events, and a cache batch that takes well under a second. */
  readonly maxChanges?: number
  /** Default 16 MiB, as `bytes` of a piece counts. */
  readonly maxBytes?: number
  /** `previousCommitEndLsn` of the first transaction, if known from before. */
  readonly previousCommitEndLsn?: Lsn | null
  /** To go on within a transaction, behind its change number `ordinal`. */
  readonly within?: {
    readonly transaction: Transaction
    readonly ordinal: number
    readonly relations: ReadonlyMap<number, Relation>
  }
  /** What is known of a large transaction's changes: see `isSuperseded` of a change event. */
  readonly isSuperseded?: (change: ChangeEvent) => boolean | undefined
}

/** What an event's objects and one text's header cost above the text itself; rough figures, on the high side. */
const EVENT_OVERHEAD_BYTES = 250
const COLUMN_OVERHEAD_BYTES = 40

interface Open {
  readonly transaction: Transaction
  changes: ChangeEvent[]
  bytes: number
  ordinal: number
  hasPieces: boolean
}

export function createTransactionAssembler(options: AssemblerOptions = {}): TransactionAssembler {
  const maxChanges = options.maxChanges ?? 20_000
  const maxBytes = options.maxBytes ?? 16 * 1024 * 1024
  const { within } = options
  const relations = new Map<number, Relation>(within?.relations)
  let previousCommitEndLsn = options.previousCommitEndLsn ?? null
  let lastCommitTimeMicros = 0n
  let open: Open | null = within
    ? { transaction: within.transaction, changes: [], bytes: 0, ordinal: within.ordinal, hasPieces: true }
    : null

  function opened(lsn: Lsn): Open {
    if (!open) throw outOfTurn('a change outside of a transaction', lsn)
    return open
  }

  function relationOf(oid: number, lsn: Lsn): Relation {
    const relation = relations.get(oid)
    if (relation) return relation
    throw new TrackOpsError('DECODE', `a row of relation ${oid} came before its description`, {
      details: { relationOid: oid, lsn: formatLsn(lsn) },
    })
  }

  /** Takes the change in; if the transaction was full already, what it held comes back as a piece. */
  function add(change: ChangeEvent, bytes: number, lsn: Lsn, isDivisible = true): TransactionPiece | null {
    const into = opened(lsn)
    const isFull = into.changes.length >= maxChanges || into.bytes >= maxBytes
    const piece = isDivisible && isFull ? takePiece(into) : null
    into.changes.push(change)
    const columns = 'relation' in change ? change.relation.columns.length : 0
    into.bytes += bytes + EVENT_OVERHEAD_BYTES + columns * COLUMN_OVERHEAD_BYTES
    return piece
  }

  function takePiece(from: Open): TransactionPiece {
    const { transaction, bytes } = from
    const changes = judged(from.changes)
    from.changes = []
    from.bytes = 0
    from.hasPieces = true
    return { kind: 'transaction', transaction, changes, isWhole: false, endLsn: null, bytes }
  }

  function commit(endLsn: Lsn, lsn: Lsn): StreamItem {
    const { transaction, bytes, hasPieces, ...held } = opened(lsn)
    const changes = hasPieces ? judged(held.changes) : held.changes
    open = null
    previousCommitEndLsn = endLsn
    // before PostgreSQL 15 a transaction that touched nothing published comes as begin and commit
    if (changes.length === 0 && !hasPieces) return { kind: 'progress', lsn: endLsn }
    return { kind: 'transaction', transaction, changes, isWhole: !hasPieces, endLsn, bytes }
  }

  function judged(changes: readonly ChangeEvent[]): readonly ChangeEvent[] {
    return options.isSuperseded ? changes.map((change) => withVerdict(change, options.isSuperseded)) : changes
  }

  function head(lsn: Lsn): { position: { commitLsn: Lsn; ordinal: number }; lsn: Lsn; transaction: Transaction } {
    const { transaction } = opened(lsn)
    const ordinal = ++opened(lsn).ordinal
    return { position: { commitLsn: transaction.commitLsn, ordinal }, lsn, transaction }
  }

  function logicalMessage(message: LogicalDecodingMessage, lsn: Lsn): StreamItem | null {
    const { isTransactional, prefix, content } = message
    if (isTransactional) {
      const change: LogicalMessage = { op: 'm', ...head(lsn), isTransactional, prefix, content }
      return add(change, content.length, lsn)
    }
    // comes when it is decoded, between transactions; it counts as a commit at its own LSN (debezium-events.md 8.3)
    previousCommitEndLsn = lsn
    const transaction: Transaction = {
      xid: 0,
      commitLsn: lsn,
      commitTimeMicros: lastCommitTimeMicros,
      previousCommitEndLsn: lsn,
      origin: null,
    }
    const change: LogicalMessage = {
      op: 'm',
      position: { commitLsn: lsn, ordinal: 1 },
      lsn,
      transaction,
      isTransactional,
      prefix,
      content,
    }
    const bytes = content.length + EVENT_OVERHEAD_BYTES
    return { kind: 'transaction', transaction, changes: [change], isWhole: true, endLsn: lsn, bytes }
  }

  function truncate(relationOids: readonly number[], lsn: Lsn): TransactionPiece | null {
    let piece: TransactionPiece | null = null
    for (const [index, oid] of relationOids.entries()) {
      const change: Truncate = { op: 't', ...head(lsn), relation: relationOf(oid, lsn) }
      // One message gives one piece at most: of a TRUNCATE of more tables than a piece holds, all but the last would be lost.
      piece = add(change, 0, lsn, index === 0) ?? piece
    }
    return piece
  }

  return {
    describe(relation) {
      relations.set(relation.oid, relation)
    },

    isOpen: () => open !== null,

    relations: () => relations,

    push(message, lsn) {
      switch (message.type) {
        case 'begin': {
          if (open) throw outOfTurn('a transaction began within another', lsn)
          const { xid, commitLsn, commitTimeMicros } = message
          lastCommitTimeMicros = commitTimeMicros
          const transaction = { xid, commitLsn, beginLsn: lsn, commitTimeMicros, previousCommitEndLsn, origin: null }
          open = { transaction, changes: [], bytes: 0, ordinal: 0, hasPieces: false }
          return null
        }
        case 'origin': {
          const { name, lsn: originLsn } = message
          const current = opened(lsn)
          // it comes right after begin, before any change refers to the transaction
          if (current.ordinal === 0) {
            open = { ...current, transaction: { ...current.transaction, origin: { name, lsn: originLsn } } }
          }
          return null
        }
        case 'commit':
          return commit(message.endLsn, lsn)
        case 'insert': {
          const relation = relationOf(message.relationOid, lsn)
          const after = completeRow(relation, message.newTuple, lsn)
          const change: Insert = { op: 'c', ...head(lsn), relation, after }
          return add(change, message.bytes, lsn)
        }
        case 'update': {
          const relation = relationOf(message.relationOid, lsn)
          const before = message.oldTuple && oldRow(relation, message.oldTuple, lsn)
          const after = newRow(relation, message.newTuple, message.oldTuple, lsn)
          const change: Update = { op: 'u', ...head(lsn), relation, before, after }
          return add(change, message.bytes, lsn)
        }
        case 'delete': {
          const relation = relationOf(message.relationOid, lsn)
          const change: Delete = { op: 'd', ...head(lsn), relation, before: oldRow(relation, message.oldTuple, lsn) }
          return add(change, message.bytes, lsn)
        }
        case 'truncate':
          return truncate(message.relationOids, lsn)
        case 'message':
          return logicalMessage(message, lsn)
        case 'relation':
        case 'type':
          return null
      }
    },
  }
}

export function withVerdict(change: ChangeEvent, judge: AssemblerOptions['isSuperseded']): ChangeEvent {
  const isSuperseded = judge?.(change)
  return isSuperseded === undefined ? change : { ...change, isSuperseded }
}

/** The row after an update. Under identity FULL the old row has what was not sent again. */
function newRow(relation: Relation, tuple: Tuple, old: OldTuple | null, lsn: Lsn): RowImage {
  const filled =
    old?.kind === 'full' && tuple.includes(undefined)
      ? tuple.map((text, index) => (text === undefined ? old.tuple[index] : text))
      : tuple
  return image(relation, filled, lsn)
}

/** Of an identity tuple only the identity columns are the row's; the rest comes as NULL and says nothing. */
function oldRow(relation: Relation, old: OldTuple, lsn: Lsn): RowImage {
  if (old.kind === 'full') return image(relation, old.tuple, lsn)
  const texts = old.tuple.map((text, index) => (relation.columns[index]?.isIdentity ? text : undefined))
  return image(relation, texts, lsn)
}

function completeRow(relation: Relation, tuple: Tuple, lsn: Lsn): CompleteRow {
  const row = image(relation, tuple, lsn)
  if (row.kind === 'complete') return row
  throw new TrackOpsError('DECODE', `an insert into ${qualifiedName(relation)} lacks a column`, {
    details: { relationOid: relation.oid, lsn: formatLsn(lsn) },
  })
}

function image(relation: Relation, texts: Tuple, lsn: Lsn): RowImage {
  if (texts.length !== relation.columns.length) {
    throw new TrackOpsError(
      'DECODE',
      `a row of ${qualifiedName(relation)} has ${texts.length} columns, its description ${relation.columns.length}`,
      { details: { relationOid: relation.oid, lsn: formatLsn(lsn) } },
    )
  }
  return hasAll(texts) ? { kind: 'complete', relation, texts } : { kind: 'partial', relation, texts }
}

function hasAll(texts: Tuple): texts is readonly (string | null)[] {
  return !texts.includes(undefined)
}

function outOfTurn(what: string, lsn: Lsn): TrackOpsError {
  return new TrackOpsError('POSTGRES_PROTOCOL', `the change stream is out of order: ${what}`, {
    details: { lsn: formatLsn(lsn) },
  })
}
