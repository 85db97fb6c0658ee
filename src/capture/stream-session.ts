import type { StreamItem } from '../change/change-event.ts'
import { formatLsn, type Lsn } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { Relation } from '../change/relation.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Catalog } from './catalog.ts'
import { type FollowedTables, requireOwnName } from './followed-tables.ts'
import { createLargeTransaction, type LargeTransaction } from './large-transaction.ts'
import { decodePgoutput } from './pgoutput.ts'
import { createProgressGate, type ProgressGate } from './progress-gate.ts'
import { quoteIdentifier, quoteLiteral } from './publication.ts'
import type { ReplicationConnection } from './replication-connection.ts'
import type { InboxLimits, ReplicationMessage, ReplicationStream } from './replication-stream.ts'
import { createStatusReporter } from './status-reporter.ts'
import { createTransactionAssembler, type AssemblerOptions } from './transaction-assembler.ts'

/** One connection's life as a stream: from START_REPLICATION to its end, which is always an error or a `close`. */
export interface StreamSession {
  /** As many items at a time as have arrived. @throws TrackOpsError whatever ends the stream */
  batches(): AsyncGenerator<readonly StreamItem[]>
  /** Something may be acked that was not: tell the server soon. */
  reportSoon(): void
  requestProgress(): void
  serverLsn(): Lsn
  /** After this nothing more is yielded. */
  close(): void
}

export interface StreamSessionOptions {
  readonly slot: string
  readonly publication: string
  readonly followed: FollowedTables
  /** From where; the server starts at the slot's confirmed position if that is later. */
  readonly startLsn: Lsn
  readonly statusIntervalMs: number
  /** Silence after which the connection counts as half-open. */
  readonly livenessTimeoutMs: number
  readonly inbox: InboxLimits
  readonly assembler: AssemblerOptions
}

interface StreamSessionDeps {
  readonly connection: ReplicationConnection
  readonly catalog: Catalog
  readonly log: Logger
  readonly ackedLsn: () => Lsn
}

type DataMessage = Extract<ReplicationMessage, { kind: 'data' }>

type Handled = StreamItem | LargeTransaction | null

/** @throws TrackOpsError SLOT_BUSY, SLOT_LOST, POSTGRES_UNREACHABLE, ... */
export async function startStreamSession(
  deps: StreamSessionDeps,
  options: StreamSessionOptions,
): Promise<StreamSession> {
  const { connection, catalog, log, ackedLsn } = deps
  const stream = await startStream(connection, options)
  const assembler = createTransactionAssembler(options.assembler)
  const progress = createProgressGate(options.startLsn)
  const reporter = createStatusReporter(
    { stream, ackedLsn, end: () => connection.close(halfOpen(options.livenessTimeoutMs)) },
    options,
  )
  let isClosed = false

  let large: LargeTransaction | null = null

  /** A promise only where the catalog has to be asked: this runs once a message. */
  function handle(message: ReplicationMessage): Promise<Handled> | Handled {
    if (message.kind === 'keep-alive') {
      if (assembler.isOpen()) progress.noteUseless()
      else progress.noteServer(message.walEnd)
      return null
    }
    if (message.kind === 'notice') {
      refusePublicationGap(message, options.publication, log)
      return null
    }
    const decoded = decodePgoutput(message.data, message.dataStart)
    if (decoded.type === 'relation') {
      requireOwnName(options.followed, decoded)
      return catalog.resolve(decoded).then((relation) => describe(message, relation))
    }
    return collect(message, assembler.push(decoded, message.dataStart))
  }

  function describe(message: DataMessage, relation: Relation): null {
    large?.describe(relation)
    large?.note(message.dataStart, message.data, null)
    assembler.describe(relation)
    return null
  }

  /** Holds back the pieces of a transaction that is too large until its end is known. */
  function collect(message: DataMessage, item: StreamItem | null): StreamItem | LargeTransaction | null {
    const piece = item?.kind === 'transaction' && !item.isWhole ? item : null
    if (!large) {
      if (!piece) return item
      large = createLargeTransaction(piece, assembler.relations(), options)
      // The message that did not fit any more is the first of the rest.
      large.note(message.dataStart, message.data, null)
      return null
    }
    // Not of the transaction: a logical message that waits for no commit.
    if (item && !piece) return item
    large.note(message.dataStart, message.data, piece)
    if (!piece || piece.endLsn === null) return null
    const ended = large
    large = null
    return ended
  }

  /** True if the item is for the consumer. */
  function isYielded(item: StreamItem): boolean {
    if (item.kind === 'progress') {
      progress.noteServer(item.lsn)
      return false
    }
    if (item.kind === 'transaction') {
      if (progress.isBehind(item.transaction.commitLsn)) throw outOfOrder(options.slot, item.transaction.commitLsn)
      if (item.endLsn !== null) progress.noteYielded(item.endLsn)
    }
    return true
  }

  async function* batches(): AsyncGenerator<readonly StreamItem[]> {
    try {
      while (!isClosed) {
        const messages = await take(stream, progress, options)
        let batch: StreamItem[] = []
        for (const message of messages) {
          let item: Handled
          try {
            const handled = handle(message)
            item = handled instanceof Promise ? await handled : handled
          } catch (error) {
            // What came before the message that ends the stream is good.
            if (batch.length > 0 && !isClosed) yield batch
            throw error
          }
          if (isClosed) return
          if (item === null) continue
          if ('kind' in item) {
            if (isYielded(item)) batch.push(item)
          } else {
            try {
              if (batch.length > 0) yield batch
              batch = []
              for (const piece of item.pieces()) {
                if (isClosed) return
                if (isYielded(piece)) yield [piece]
              }
            } finally {
              item.close()
            }
          }
        }
        const lsn = assembler.isOpen() ? null : progress.next(performance.now())
        if (lsn !== null) batch.push({ kind: 'progress', lsn })
        else if (!assembler.isOpen() && progress.asksAgain()) stream.sendStatus(ackedLsn(), true)
        if (batch.length > 0) yield batch
      }
    } finally {
      reporter.stop()
      large?.close()
    }
  }

  return {
    batches,
    reportSoon: () => reporter.reportSoon(),
    requestProgress() {
      if (progress.request()) stream.sendStatus(ackedLsn(), true)
    },
    serverLsn: () => stream.facts().serverLsn,
    close() {
      isClosed = true
      reporter.stop()
      stream.sendStatus(ackedLsn(), false)
      connection.close()
    },
  }
}

async function take(
  stream: ReplicationStream,
  progress: ProgressGate,
  options: StreamSessionOptions,
): Promise<readonly ReplicationMessage[]> {
  try {
    return await stream.take(progress.waitMs(performance.now()))
  } catch (error) {
    // until PostgreSQL 17 the walsender ends with this; since 18 it warns and goes on (see refusePublicationGap)
    if (error instanceof TrackOpsError && error.details['sqlState'] === '42704')
      throw publicationMissing(options.publication, error)
    throw error
  }
}

async function startStream(
  connection: ReplicationConnection,
  options: StreamSessionOptions,
): Promise<ReplicationStream> {
  const { slot, publication, startLsn } = options
  const parameters = [`proto_version '1'`, `publication_names ${quoteLiteral(quoteIdentifier(publication))}`]
  if (connection.serverVersion >= 140_000) parameters.push(`messages 'true'`)
  try {
    return await connection.startStream(
      `START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL ${formatLsn(startLsn)} (${parameters.join(', ')})`,
      options.inbox,
    )
  } catch (error) {
    const sqlState = error instanceof TrackOpsError ? error.details['sqlState'] : null
    // undefined_object; object_not_in_prerequisite_state: invalidated
    if (sqlState !== '42704' && sqlState !== '55000') throw error
    throw new TrackOpsError('SLOT_LOST', `replication slot ${slot} cannot be read any more`, {
      details: { slot, sqlState },
      cause: error,
    })
  }
}

/**
 * PostgreSQL 18 no longer stops when the publication does not exist at a place in the WAL: it warns and leaves the changes out. To go
 * on would lose them silently. The C function's name tells the warning, its text may be translated.
 */
function refusePublicationGap(
  notice: Extract<ReplicationMessage, { kind: 'notice' }>,
  publication: string,
  log: Logger,
): void {
  const { sqlState, routine, severity } = notice.report
  if (routine === 'LoadPublications') throw publicationMissing(publication)
  log.debug({ sqlState, routine, severity }, 'a notice in the replication stream')
}

/** Decoding goes in the order of commits, and says no position before all that commits before it was sent: this is never expected. */
function outOfOrder(slot: string, commitLsn: Lsn): TrackOpsError {
  return new TrackOpsError(
    'SLOT_LOST',
    `slot ${slot} delivered a transaction behind a position that the server had said to be passed`,
    { details: { slot, commitLsn: formatLsn(commitLsn) } },
  )
}

function halfOpen(silentMs: number): TrackOpsError {
  return new TrackOpsError('POSTGRES_UNREACHABLE', `PostgreSQL said nothing for ${silentMs} ms, though it was asked`)
}

function publicationMissing(publication: string, cause?: unknown): TrackOpsError {
  return new TrackOpsError(
    'PUBLICATION_MISSING',
    `publication ${publication} does not exist, or did not where the stream has got to: changes are missing`,
    { details: { publication }, cause },
  )
}
