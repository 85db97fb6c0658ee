import type { Sql } from 'postgres'

import type { StreamItem } from '../change/change-event.ts'
import { maxLsn, minLsn } from '../change/lsn.ts'
import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import type { AcquiredSlot } from './acquire-slot.ts'
import type { Capture, CaptureStatus } from './capture.ts'
import type { Catalog } from './catalog.ts'
import { toCaptureError } from './postgres-error.ts'
import type { FollowedTables } from './followed-tables.ts'
import type { HistoryWitness } from './history-witness.ts'
import type { ReplicationConnection } from './replication-connection.ts'
import type { InboxLimits } from './replication-stream.ts'
import { requireSameHistory } from './same-history.ts'
import type { SlotLedger } from './slot-ledger.ts'
import type { Snapshot } from './snapshot.ts'
import { startStreamSession, type StreamSession } from './stream-session.ts'
import type { AssemblerOptions } from './transaction-assembler.ts'

export interface Opened {
  readonly connection: ReplicationConnection
  readonly acquired: AcquiredSlot
  readonly snapshot: Snapshot | null
}

export interface FollowSlotDeps {
  readonly sql: Sql
  readonly log: Logger
  readonly random: () => number
  readonly catalog: Catalog
  /** null for a temporary slot. */
  readonly ledger: SlotLedger | null
  readonly witness: HistoryWitness | null
  readonly connect: () => Promise<ReplicationConnection>
  /** @throws TrackOpsError PUBLICATION_MISSING */
  readonly assertPublished: () => Promise<void>
  /** Whatever is to be done at the end. */
  readonly release: () => Promise<void>
}

export interface FollowSlotOptions {
  readonly slot: string
  readonly publication: string
  readonly followed: FollowedTables
  readonly isTemporary: boolean
  readonly statusIntervalMs: number
  readonly livenessTimeoutMs: number
  readonly inbox: InboxLimits
  readonly assembler: AssemblerOptions
}

/**
 * The capture of a slot that was acquired: the snapshot first, then the stream, over as many connections as it takes.
 *
 *     snapshot --last piece--> connecting --START_REPLICATION--> streaming
 *                                  ^                                 |
 *                                  +---- broken, rewound: pause -----+
 *
 * From everywhere to closed: the consumer aborts or closes, or an error comes that trying again does not mend.
 */
export function followSlot(deps: FollowSlotDeps, options: FollowSlotOptions, opened: Opened): Capture {
  const { sql, log, random, catalog, ledger, witness } = deps
  const { slot, isTemporary } = options
  const { history, resumeLsn } = opened.acquired
  const closing = new AbortController()
  let state: CaptureStatus['state'] = 'connecting'
  let receivedLsn = resumeLsn
  let ackedLsn = resumeLsn
  let serverLsn = resumeLsn
  let reconnections = 0
  let connections = 0
  let session: StreamSession | null = null
  let spareConnection: ReplicationConnection | null = opened.connection
  let snapshot = opened.snapshot
  let isRewinding = false
  let fault: TrackOpsError | null = null
  let isProgressWanted = false
  let completing: Promise<void> = Promise.resolve()
  /** open: rows still to come; read: all handed on, not known to be applied; done: noted, or there is none */
  let snapshotState: 'open' | 'read' | 'completing' | 'done' = snapshotKind(opened) === 'none' ? 'done' : 'open'

  async function completeSnapshot(): Promise<void> {
    snapshotState = 'completing'
    try {
      await ledger?.completeSnapshot(slot, history.slotEpoch)
      snapshotState = 'done'
    } catch (error) {
      // the next ack tries again; until then a restart would take the snapshot again, which is safe
      snapshotState = 'read'
      log.warn({ slot, error: String(error) }, 'cannot note that the snapshot is complete')
    }
  }

  async function* readSnapshot(): AsyncGenerator<readonly StreamItem[]> {
    const reading = snapshot
    if (!reading) {
      // a slot was lost and no snapshot is wanted: who waits for its end must learn of it all the same
      snapshotState = 'read'
      yield [{ kind: 'snapshot', changes: [], isLast: true, bytes: 0 }]
      return
    }
    state = 'snapshot'
    try {
      for await (const piece of reading.pieces()) {
        if (piece.isLast) snapshotState = 'read'
        yield [piece]
      }
    } catch (caught) {
      const error = toCaptureError(caught, 'reading the snapshot')
      if (retryOf(error) !== 'timed') throw error
      throw new TrackOpsError('SLOT_LOST', `the snapshot of slot ${slot} was interrupted: it begins anew`, {
        details: { slot },
        cause: error,
      })
    } finally {
      snapshot = null
      reading.close()
    }
  }

  /** Before anything is received by it. @throws TrackOpsError SLOT_LOST where the database was put back to before the last one */
  async function countConnection(): Promise<void> {
    if (!ledger) return
    const counted = await ledger.countConnection(slot, history.slotEpoch, connections)
    if (counted === null) {
      throw new TrackOpsError(
        'SLOT_LOST',
        `the database is an older one than the one that slot ${slot} was followed in`,
        {
          details: { slot, connections },
        },
      )
    }
    connections = counted
    await witness?.note({ slotEpoch: history.slotEpoch, connections })
  }

  async function openSession(): Promise<StreamSession> {
    const reused = spareConnection
    spareConnection = null
    const connection = reused ?? (await deps.connect())
    try {
      if (!reused) await requireSameHistory({ sql, connection }, { history, slot, ackedLsn, receivedLsn })
      await countConnection()
      return await startStreamSession(
        { connection, catalog, log, ackedLsn: () => ackedLsn },
        { ...options, startLsn: ackedLsn },
      )
    } catch (error) {
      connection.close()
      throw error
    }
  }

  /**
   * Between the looks a hole may form; it is found here, and by whoever opens the slot again. A server that does not answer is
   * perhaps about to stop: it waits for its walsenders, a walsender for our last ack, and that for the server. So we let go.
   */
  async function lookAtPublication(): Promise<void> {
    try {
      await deps.assertPublished()
    } catch (error) {
      if (!(error instanceof TrackOpsError)) return
      if (error.code === 'PUBLICATION_MISSING') fault = error
      else if (error.code !== 'POSTGRES_UNREACHABLE') return
      session?.close()
    }
  }

  async function* run(signal: AbortSignal): AsyncGenerator<readonly StreamItem[]> {
    if (snapshotState === 'open') yield* readSnapshot()
    for (let attempt = 0; !signal.aborted;) {
      try {
        state = 'connecting'
        session = await openSession()
        state = 'streaming'
        if (isProgressWanted) session.requestProgress()
        if (signal.aborted) return
        for await (const items of session.batches()) {
          attempt = 0
          serverLsn = session.serverLsn()
          yield items
        }
        if (fault) throw fault
      } catch (caught) {
        if (signal.aborted) return
        // Our own close of the session is what it failed with, then.
        const error = fault ?? toCaptureError(caught, 'following the changes')
        if (fault || !isRewinding) await handleFailure(error, ++attempt, signal)
      } finally {
        session?.close()
        session = null
      }
      isRewinding = false
      reconnections++
    }
  }

  /** Waits where trying again can help. @throws the error where it cannot */
  async function handleFailure(error: Error, attempt: number, signal: AbortSignal): Promise<void> {
    const code = error instanceof TrackOpsError ? error.code : 'UNKNOWN'
    // whoever opens the slot again must not continue behind a hole
    if (code === 'PUBLICATION_MISSING' || code === 'SLOT_LOST') await ledger?.invalidate(slot, history.slotEpoch)
    if (code === 'HISTORY_CHANGED' || retryOf(error) !== 'timed') throw error
    if (isTemporary) throw slotEnded(error)
    const waitMs = backoffDelayMs(attempt, { maxMs: 10_000, random })
    log[attempt > 3 ? 'warn' : 'info'](
      { code, attempt, waitMs, error: error.message },
      'the change stream broke: connecting again',
    )
    await pause(waitMs, signal)
  }

  function slotEnded(cause: Error): TrackOpsError {
    return new TrackOpsError('SLOT_LOST', `temporary slot ${slot} ended with its connection: ${cause.message}`, {
      cause,
    })
  }

  async function* batches(consumerSignal: AbortSignal): AsyncGenerator<readonly StreamItem[]> {
    const signal = AbortSignal.any([consumerSignal, closing.signal])
    const looking = setInterval(() => void lookAtPublication(), Math.min(LOOK_EVERY_MS, options.statusIntervalMs))
    // A consumer may never pull again: what is to end must not wait for it.
    const onAbort = (): void => {
      clearInterval(looking)
      session?.close()
      snapshot?.close()
    }
    signal.addEventListener('abort', onAbort)
    try {
      yield* run(signal)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      clearInterval(looking)
      signal.removeEventListener('abort', onAbort)
      state = 'closed'
    }
  }

  function noteHandedOn(item: StreamItem): void {
    if (item.kind === 'snapshot') return
    if (item.kind === 'progress') isProgressWanted = false
    const lsn = item.kind === 'progress' ? item.lsn : (item.endLsn ?? item.transaction.commitLsn)
    receivedLsn = maxLsn(receivedLsn, lsn)
  }

  return {
    history,
    resumeLsn,
    snapshot: snapshotKind(opened),
    visibleBefore: opened.snapshot?.visible ?? null,

    async *stream(signal) {
      for await (const items of batches(signal)) {
        for (const item of items) {
          if (signal.aborted || closing.signal.aborted || isRewinding) break
          noteHandedOn(item)
          yield item
        }
      }
    },

    async *batches(signal) {
      for await (const items of batches(signal)) {
        for (const item of items) noteHandedOn(item)
        yield items
      }
    },

    ack(lsn) {
      // what was not handed on cannot have been applied: a fault elsewhere must not lose changes here
      const acked = minLsn(lsn, receivedLsn)
      // Rows of a snapshot have no LSN to ack. What comes behind them has: its ack says that they are applied, too.
      // An ack of resumeLsn itself says nothing: consumers that are acked by a timer begin with it.
      if (snapshotState === 'read' && acked > resumeLsn) completing = completeSnapshot()
      if (acked <= ackedLsn) return
      ackedLsn = acked
      session?.reportSoon()
    },

    requestProgress() {
      isProgressWanted = true
      session?.requestProgress()
    },

    rewind() {
      if (!session) return
      isRewinding = true
      session.close()
    },

    status: () => ({
      state,
      receivedLsn,
      ackedLsn,
      serverLsn: session ? maxLsn(serverLsn, session.serverLsn()) : serverLsn,
      reconnections,
    }),

    async close() {
      if (closing.signal.aborted) return
      closing.abort()
      state = 'closed'
      spareConnection?.close()
      snapshot?.close()
      await completing
      await deps.release()
    },
  }
}

/** One small query; also how long a server that stops is held up. */
const LOOK_EVERY_MS = 2_000

function snapshotKind({ acquired, snapshot }: Opened): Capture['snapshot'] {
  if (!acquired.created) return 'none'
  if (acquired.created.reason === 'slot-lost') return 'slot-lost'
  return snapshot ? 'initial' : 'none'
}
