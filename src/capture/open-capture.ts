import type { Sql } from 'postgres'

import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { acquireSlot, acquireTemporarySlot, type AcquiredSlot } from './acquire-slot.ts'
import type { Capture } from './capture.ts'
import { createCatalog } from './catalog.ts'
import { followSlot } from './follow-slot.ts'
import { readFollowedTables } from './followed-tables.ts'
import { type HistoryWitness, isTakenBack, readWalEnd } from './history-witness.ts'
import { statusIntervalFor } from './liveness.ts'
import { toCaptureError } from './postgres-error.ts'
import { assertPublished, dropPublication, ensurePublication } from './publication.ts'
import { connectReplication, type ReplicationConnection } from './replication-connection.ts'
import { openSnapshot, type Snapshot } from './snapshot.ts'
import { openSlotLedger, type SlotLedger } from './slot-ledger.ts'

export interface OpenCaptureDeps {
  /** An ordinary pool on the same database: catalog, ledger, publication. Not closed here. */
  readonly sql: Sql
  readonly log: Logger
  /** 0 to 1, for the spread of retries. Default Math.random. */
  readonly random?: () => number
  /** Without it, a database that is put back to an older copy is found out only by what it says itself. */
  readonly witness?: HistoryWitness
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
  /** See publication.ts. Default false. */
  readonly acceptsFewerOperations?: boolean
  /** See publication.ts. Default true, and false for a temporary one. */
  readonly publishesViaRoot?: boolean
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
  await requirePrimaryWithLogicalWal(sql)
  const added = await ensurePublication(deps, { publishesViaRoot: !isTemporary, ...options })
  if (added.length > 0) {
    log.warn(
      { publication, tables: added },
      'tables added to the publication: their changes until now were not captured',
    )
  }
  const ledger = isTemporary ? null : await openSlotLedger(sql)
  // What the slot holds has a hole where these tables' changes would be: it is made anew, and what rests on it forgotten.
  const known = added.length > 0 ? await ledger?.read(slot) : null
  if (known) await ledger?.invalidate(slot, known.history.slotEpoch)
  if (ledger) await leaveWhatWasTakenBack(deps, ledger, slot)
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
    // without a snapshot the slot counts from its first change on: a restart must continue it, not make it anew
    if (acquired.created?.reason === 'initial' && !snapshotName) {
      await ledger?.completeSnapshot(slot, acquired.history.slotEpoch)
    }
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
  // Who follows whatever there is shows it under the name that it had.
  const followed = await readFollowedTables(sql, isTemporary ? [] : options.tables)
  const walSenderTimeoutMs = await readWalSenderTimeoutMs(connection)
  return followSlot(
    {
      sql,
      log,
      random,
      catalog,
      ledger,
      witness: deps.witness ?? null,
      connect: () => connect(options),
      // Nobody takes tables out of a temporary one: what it lacks was renamed or dropped.
      assertPublished: () => assertPublished(sql, publication, isTemporary ? [] : options.tables),
      release: async () => {
        if (isTemporary) await dropPublication(sql, publication)
      },
    },
    {
      slot,
      publication,
      followed,
      isTemporary,
      statusIntervalMs: statusIntervalFor(options.statusIntervalMs ?? 10_000, walSenderTimeoutMs),
      livenessTimeoutMs: options.livenessTimeoutMs ?? 60_000,
      inbox: {
        maxMessages: options.maxBufferedMessages ?? 2_000,
        maxBytes: options.maxBufferedBytes ?? 8 * 1024 * 1024,
      },
      assembler: {
        ...(options.maxTransactionChanges === undefined ? {} : { maxChanges: options.maxTransactionChanges }),
        ...(options.maxTransactionBytes === undefined ? {} : { maxBytes: options.maxTransactionBytes }),
      },
    },
    { connection, acquired, snapshot },
  )
}

/** LSNs of a future that was taken back would pass for what is still to come: the slot is made anew, and what rests on it forgotten. */
async function leaveWhatWasTakenBack(
  { sql, log, witness }: OpenCaptureDeps,
  ledger: SlotLedger,
  slot: string,
): Promise<void> {
  const entry = await ledger.read(slot)
  const witnessed = entry && (await witness?.read())
  if (!witnessed || !isTakenBack(witnessed, entry, await readWalEnd(sql))) return
  log.warn(
    { slot, connections: entry.connections, known: witnessed.connections },
    'the database is an older one than was followed: the slot is made anew',
  )
  await ledger.invalidate(slot, entry.history.slotEpoch)
}

function connect(options: OpenCaptureOptions): Promise<ReplicationConnection> {
  const { databaseUrl, slot } = options
  return connectReplication({ databaseUrl, applicationName: `trackops ${slot}`, isReplication: true })
}

/** Snapshots of a standby omit running transactions, and its slots end with a promotion: we follow the primary. */
async function requirePrimaryWithLogicalWal(sql: Sql): Promise<void> {
  const [row] = await sql<{ wal_level: string; is_standby: boolean }[]>`
    select current_setting('wal_level') as wal_level, pg_is_in_recovery() as is_standby`.catch((error: unknown) => {
    throw toCaptureError(error, 'asking for wal_level')
  })
  if (row?.is_standby)
    throw new TrackOpsError('POSTGRES_REFUSED', 'this server is a standby; changes are captured from the primary')
  if (row?.wal_level === 'logical') return
  throw new TrackOpsError('WAL_LEVEL', `wal_level is ${row?.wal_level ?? 'unknown'}, logical decoding needs logical`, {
    details: { walLevel: row?.wal_level ?? null },
  })
}

async function readWalSenderTimeoutMs(connection: ReplicationConnection): Promise<number> {
  const [row] = await connection.query(`select setting from pg_settings where name = 'wal_sender_timeout'`)
  return Number(row?.[0] ?? 0)
}
