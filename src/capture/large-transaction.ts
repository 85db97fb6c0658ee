import type { ChangeEvent, StreamItem, TransactionPiece } from '../change/change-event.ts'
import type { Lsn } from '../change/lsn.ts'
import type { Relation } from '../change/relation.ts'
import { createLastChanges } from './last-changes.ts'
import { decodePgoutput } from './pgoutput.ts'
import { type AssemblerOptions, createTransactionAssembler, withVerdict } from './transaction-assembler.ts'
import { createTransactionSpool, type SpoolOptions } from './transaction-spool.ts'

/**
 * A transaction that is too large to hold comes in pieces. A piece alone can't tell which of its states are the transaction's last
 * word on a row; so the whole transaction is read twice: first only to see which change of a row is its last, its messages
 * meanwhile spooled, then for its pieces, each change with that verdict. Memory stays bounded, whatever the size.
 */
export interface LargeTransaction {
  /** The first pass: a message, and the piece that the assembler gave for it, if any. */
  note(lsn: Lsn, data: Buffer, piece: TransactionPiece | null): void
  /** A relation was described between the messages. */
  describe(relation: Relation): void
  /** The second pass, once the commit was noted. */
  pieces(): Generator<StreamItem>
  close(): void
}

/** About one call of the cache's: what is held beyond that is memory that the garbage collector copies, over and over. */
const PIECE_CHANGES = 250

export function createLargeTransaction(
  first: TransactionPiece,
  relations: ReadonlyMap<number, Relation>,
  options: { readonly assembler: AssemblerOptions; readonly spool?: SpoolOptions },
): LargeTransaction {
  const spool = createTransactionSpool(options.spool)
  const lastChanges = createLastChanges()
  const before = new Map(relations)
  const described: Relation[] = []
  const pieceChanges = Math.min(options.assembler.maxChanges ?? PIECE_CHANGES, PIECE_CHANGES)
  const isSuperseded = (change: ChangeEvent): boolean | undefined => lastChanges.isSuperseded(change)
  for (const change of first.changes) lastChanges.note(change)

  return {
    note(lsn, data, piece) {
      spool.append(lsn, data)
      for (const change of piece?.changes ?? []) lastChanges.note(change)
    },

    describe(relation) {
      described.push(relation)
    },

    *pieces() {
      const { transaction, changes } = first
      for (let from = 0; from < changes.length; from += pieceChanges) {
        const some = changes.slice(from, from + pieceChanges)
        const bytes = (first.bytes * some.length) / changes.length
        yield { ...first, changes: some.map((change) => withVerdict(change, isSuperseded)), bytes }
      }
      const assembler = createTransactionAssembler({
        ...options.assembler,
        maxChanges: pieceChanges,
        previousCommitEndLsn: transaction.previousCommitEndLsn,
        within: { transaction, ordinal: changes.at(-1)?.position.ordinal ?? 0, relations: before },
        isSuperseded,
      })
      let next = 0
      for (const { lsn, data } of spool.read()) {
        const message = decodePgoutput(data, lsn)
        if (message.type === 'relation') {
          const relation = described[next++]
          if (relation) assembler.describe(relation)
        }
        const piece = assembler.push(message, lsn)
        if (piece) yield piece
      }
    },

    close: () => spool.close(),
  }
}
