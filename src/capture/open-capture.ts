import type { Sql } from 'postgres'

import type { StreamItem } from '../change/change-event.ts'
import { type Lsn, maxLsn, minLsn } from '../change/lsn.ts'
import { retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { acquireSlot, acquireTemporarySlot, type AcquiredSlot } from './acquire-slot.ts'
import { backoffMs } from './backoff.ts'
import type { Capture, CaptureStatus } from './capture.ts'
import { createCatalog } from './catalog.ts'
import { statusIntervalFor } from './liveness.ts'
import { pause } from './pause.ts'
import { toCaptureError } from './postgres-error.ts'
import { dropPublication, ensurePublication } from './publication.ts'
import { connectReplication, type ReplicationConnection } from './replication-connection.ts'
import { openSnapshot, type Snapshot } from './snapshot.ts'
import { openSlotLedger, type SlotLedger } from './slot-ledger.ts'
import { identifySystem, readSlot } from './slot.ts'
import { startStreamSession, type StreamSession } from './stream-session.ts'

export interface OpenCaptureDeps {
  /** An ordinary pool on the same database: catalog, ledger, publication. Not closed here. */
  readonly sql: Sql
  readonly log: Logger
  /** 0 to 1, for the spread of retries. Default Math.random. */
  readonly random?: () => number
}

export interface OpenCaptureOptions {
  readonly databaseUrl: string
  readonly slot: string
  readonly publication: string
  /** `public.orders`, by the catalog's names. */
  readonly tables: readonly string[]
  /** `initial` (default): rows that were there first. `no_data`: none. */
  readonly snapshot?: 'initial' | 'no_data'
  /** Slot and publication are this capture's alone, and dropped at its end; no ledger. Default false. */
  readonly temporary?: boolean
  /** See publication.ts. Default false. */
  readonly acceptsWeakIdentity?: boolean
  /** See snapshot.ts. Default false. */
  readonly includesGenerated?: boolean
  /** Default 10,000; shorter where the server's wal_sender_timeout demands it. */
  readonly statusIntervalMs?: number
  /** Silence after which a connection counts as half-open. Default 60,000, as wal_receiver_timeout. */
  readonly livenessTimeoutMs?: number
  /** What may wait between socket and consumer: default 20,000 messages, 8 MiB. */
  readonly maxBufferedMessages?: number
  readonly maxBufferedBytes?: number
  /** Where a transaction is cut in pieces: default 20,000 changes, 16 MiB. */
  readonly maxTransactionChanges?: number
  readonly maxTransactionBytes?: number
  /** Size of a snapshot piece, about. Default 2 MiB. */
  readonly snapshotPieceBytes?: number
  /** How long opening waits for another process to let the slot go. Default 30,000. */
  readonly slotBusyTimeoutMs?: number
  /** How long opening waits for transactions that keep the slot from being made. Default 60,000. */
  readonly slotCreationTimeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * Opens what it takes to follow the changes: publication, slot, snapshot. The stream begins when it is asked for.
 *
 * @throws TrackOpsError WAL_LEVEL, CONFIG_INVALID, REPLICA_IDENTITY_WEAK, PUBLICATION_MISSING, SLOT_BUSY, TIMEOUT,
 *   POSTGRES_UNREACHABLE, POSTGRES_REFUSED
 */
export async function openCapture(deps: OpenCaptureDeps, options: OpenCaptureOptions): Promise<Capture> {
  const { sql, log } = deps
  const random = deps.random ?? Math.random
  const isTemporary = options.temporary ?? false
  const { slot, publication } = options
  await requireLogicalWal(sql)
  const added = await ensurePublication(deps, options)
  if (added.length > 0) {
    log.warn(
      { publication, tables: added },
      'tables added to the publication: their changes until now were not captured',
    )
  }
  const ledger = isTemporary ? null : await openSlotLedger(sql)
  const connection = await connect(options)
  const catalog = createCatalog(sql)
  let snapshot: Snapshot | null = null
  let acquired: AcquiredSlot
  try {
    const acquireOptions = {
      slot,
      exportsSnapshot: options.snapshot !== 'no_data',
      slotBusyTimeoutMs: options.slotBusyTimeoutMs ?? 30_000,
      slotCreationTimeoutMs: options.slotCreationTimeoutMs ?? 60_000,
      signal: options.signal ?? new AbortController().signal,
    }
    const acquireDeps = { sql, log, connection, random }
    acquired = ledger
      ? await acquireSlot(acquireDeps, ledger, acquireOptions)
      : await acquireTemporarySlot(acquireDeps, acquireOptions)
    const snapshotName = acquired.created?.snapshotName
    if (snapshotName) {
      const { databaseUrl, tables, includesGenerated, snapshotPieceBytes } = options
      snapshot = await openSnapshot(
        { sql, catalog },
        {
          databaseUrl,
          applicationName: `trackops snapshot ${slot}`,
          snapshotName,
          consistentPoint: acquired.resumeLsn,
          tables,
          ...(includesGenerated === undefined ? {} : { includesGenerated }),
          ...(snapshotPieceBytes === undefined ? {} : { pieceBytes: snapshotPieceBytes }),
        },
      )
    }
  } catch (error) {
    connection.close()
    if (isTemporary) await dropPublication(sql, publication)
    throw error
  }
  const walSenderTimeoutMs = await readWalSenderTimeoutMs(connection)
  return createCapture(
    { ...deps, random, catalog, ledger },
    { ...options, statusIntervalMs: statusIntervalFor(options.statusIntervalMs ?? 10_000, walSenderTimeoutMs) },
    { connection, acquired, snapshot },
  )
}

interface Opened {
  readonly connection: ReplicationConnection
  readonly acquired: AcquiredSlot
  readonly snapshot: Snapshot | null
}

function createCapture(
  deps: Required<OpenCaptureDeps> & {
    readonly catalog: ReturnType<typeof createCatalog>
    readonly ledger: SlotLedger | null
  },
  options: OpenCaptureOptions & { readonly statusIntervalMs: number },
  opened: Opened,
): Capture {
  const { sql, log, random, catalog, ledger } = deps
  const { slot, publication } = options
  const { history, resumeLsn, created } = opened.acquired
  const closing = new AbortController()
  let state: CaptureStatus['state'] = 'connecting'
  let receivedLsn = resumeLsn
  let ackedLsn = resumeLsn
  let serverLsn = resumeLsn
  let reconnections = 0
  let session: StreamSession | null = null
  let spareConnection: ReplicationConnection | null = opened.connection
  let snapshot = opened.snapshot
  let isRewinding = false
  let isProgressWanted = false
  /** open: rows still to come; read: all handed on, not known to be applied; done */
  let snapshotState: 'open' | 'read' | 'completing' | 'done' = created ? 'open' : 'done'

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

  async function* readSnapshot(): AsyncGenerator<StreamItem> {
    const reading = snapshot
    if (!reading) {
      snapshotState = 'read'
      // nothing is read, but who waits for the snapshot's end must learn of it
      if (created?.reason === 'slot-lost') yield { kind: 'snapshot', changes: [], isLast: true, bytes: 0 }
      return
    }
    state = 'snapshot'
    try {
      for await (const piece of reading.pieces()) {
        if (piece.isLast) snapshotState = 'read'
        yield piece
      }
    } catch (error) {
      throw new TrackOpsError(
        'SLOT_LOST',
        `the snapshot of slot ${slot} was interrupted: it begins anew with a new slot`,
        {
          details: { slot },
          cause: error,
        },
      )
    } finally {
      snapshot = null
      reading.close()
    }
  }

  async function openSession(): Promise<StreamSession> {
    const reused = spareConnection
    spareConnection = null
    const connection = reused ?? (await connect(options))
    try {
      if (!reused) await requireSameHistory(connection)
      return await startStreamSession(
        { connection, catalog, log, ackedLsn: () => ackedLsn },
        {
          slot,
          publication,
          startLsn: ackedLsn,
          statusIntervalMs: options.statusIntervalMs,
          livenessTimeoutMs: options.livenessTimeoutMs ?? 60_000,
          inbox: {
            maxMessages: options.maxBufferedMessages ?? 20_000,
            maxBytes: options.maxBufferedBytes ?? 8 * 1024 * 1024,
          },
          assembler: {
            ...(options.maxTransactionChanges === undefined ? {} : { maxChanges: options.maxTransactionChanges }),
            ...(options.maxTransactionBytes === undefined ? {} : { maxBytes: options.maxTransactionBytes }),
          },
        },
      )
    } catch (error) {
      connection.close()
      throw error
    }
  }

  /** Who answers at this address may be another server by now, or this one after a restore. */
  async function requireSameHistory(connection: ReplicationConnection): Promise<void> {
    const server = await identifySystem(connection)
    if (server.systemIdentifier !== history.systemIdentifier || server.timeline !== history.timeline) {
      throw new TrackOpsError('HISTORY_CHANGED', 'another database cluster, or another timeline, answers now', {
        details: {
          ...server,
          walLsn: server.walLsn.toString(),
          expected: `${history.systemIdentifier}/${history.timeline}`,
        },
      })
    }
    const found = await readSlot(sql, slot)
    const isAhead = (found?.confirmedFlushLsn ?? ackedLsn) > ackedLsn
    if (!found?.isUsable || found.invalidation !== null || isAhead) {
      throw new TrackOpsError(
        'SLOT_LOST',
        `replication slot ${slot} is gone, invalidated, or not the one that it was`,
        {
          details: { slot, invalidation: found?.invalidation ?? null, isAhead },
        },
      )
    }
  }

  async function* run(signal: AbortSignal): AsyncGenerator<StreamItem> {
    if (snapshotState === 'open') yield* readSnapshot()
    for (let attempt = 0; !signal.aborted;) {
      try {
        state = 'connecting'
        session = await openSession()
        state = 'streaming'
        if (isProgressWanted) session.requestProgress()
        if (signal.aborted) return
        for await (const item of session.items()) {
          attempt = 0
          serverLsn = session.serverLsn()
          receivedLsn = maxLsn(receivedLsn, item.kind === 'progress' ? item.lsn : lsnOf(item))
          if (item.kind === 'progress') isProgressWanted = false
          yield item
        }
      } catch (caught) {
        if (signal.aborted) return
        if (!isRewinding) await handleFailure(toCaptureError(caught, 'following the changes'), ++attempt, signal)
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
    if (code === 'PUBLICATION_MISSING') await ledger?.invalidate(slot, history.slotEpoch)
    if (code === 'HISTORY_CHANGED' || retryOf(error) !== 'timed') throw error
    if (options.temporary) throw slotEnded(error)
    const waitMs = backoffMs(attempt, random)
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

  return {
    history,
    resumeLsn,
    snapshot: snapshotKind(opened),

    async *stream(consumerSignal) {
      const signal = AbortSignal.any([consumerSignal, closing.signal])
      const onAbort = (): void => {
        session?.close()
        snapshot?.close()
      }
      signal.addEventListener('abort', onAbort)
      try {
        yield* run(signal)
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        signal.removeEventListener('abort', onAbort)
        state = 'closed'
      }
    },

    ack(lsn) {
      // what was not handed on cannot have been applied: a fault elsewhere must not lose changes here
      const acked = minLsn(lsn, receivedLsn)
      if (snapshotState === 'read') void completeSnapshot()
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
      if (options.temporary) await dropPublication(sql, publication)
    },
  }
}

function snapshotKind({ acquired, snapshot }: Opened): Capture['snapshot'] {
  if (!acquired.created) return 'none'
  if (acquired.created.reason === 'slot-lost') return 'slot-lost'
  return snapshot ? 'initial' : 'none'
}

function lsnOf(item: Exclude<StreamItem, { kind: 'progress' }>): Lsn {
  const last = item.changes.at(-1)
  if (item.kind === 'transaction') return item.endLsn ?? item.transaction.commitLsn
  return last?.lsn ?? (0n as Lsn)
}

function connect(options: OpenCaptureOptions): Promise<ReplicationConnection> {
  const { databaseUrl, slot } = options
  return connectReplication({ databaseUrl, applicationName: `trackops ${slot}`, isReplication: true })
}

async function requireLogicalWal(sql: Sql): Promise<void> {
  const [row] = await sql<{ wal_level: string }[]>`select current_setting('wal_level') as wal_level`.catch(
    (error: unknown) => {
      throw toCaptureError(error, 'asking for wal_level')
    },
  )
  if (row?.wal_level === 'logical') return
  throw new TrackOpsError('WAL_LEVEL', `wal_level is ${row?.wal_level ?? 'unknown'}, logical decoding needs logical`, {
    details: { walLevel: row?.wal_level ?? null },
  })
}

async function readWalSenderTimeoutMs(connection: ReplicationConnection): Promise<number> {
  const [row] = await connection.query(`select setting from pg_settings where name = 'wal_sender_timeout'`)
  return Number(row?.[0] ?? 0)
}
