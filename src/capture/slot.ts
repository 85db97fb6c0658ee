import type { Sql } from 'postgres'

import type { History } from '../change/change-event.ts'
import { type Lsn, parseLsn } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { toCaptureError } from './postgres-error.ts'
import { quoteIdentifier } from './publication.ts'
import type { ReplicationConnection } from './replication-connection.ts'
import type { LedgerEntry, SnapshotReason } from './slot-ledger.ts'

/** What the server says about a slot of this name. */
export interface SlotState {
  readonly confirmedFlushLsn: Lsn | null
  readonly isActive: boolean
  readonly activePid: number | null
  /** `wal_removed`, `rows_removed`, ...; null while it can be read. */
  readonly invalidation: string | null
  /** Made by us or for us: logical, pgoutput, in this database. */
  readonly isUsable: boolean
}

export interface ServerState {
  readonly systemIdentifier: string
  readonly timeline: number
  /** Where the server's WAL ends. */
  readonly walLsn: Lsn
}

/** @throws TrackOpsError */
export async function identifySystem(connection: ReplicationConnection): Promise<ServerState> {
  const [row] = await connection.query('IDENTIFY_SYSTEM')
  const [systemIdentifier, timeline, lsn] = row ?? []
  if (!systemIdentifier || !timeline || !lsn) {
    throw new TrackOpsError('POSTGRES_PROTOCOL', 'IDENTIFY_SYSTEM gave no row')
  }
  return { systemIdentifier, timeline: Number(timeline), walLsn: parseLsn(lsn) }
}

/** @throws TrackOpsError */
export async function readSlot(sql: Sql, slot: string): Promise<SlotState | null> {
  try {
    // as JSON, since what the view has differs from version to version
    const [row] = await sql<{ state: Record<string, string | number | boolean | null>; is_here: boolean }[]>`
      select to_jsonb(s) as state, database = current_database() as is_here
        from pg_replication_slots s where slot_name = ${slot}`
    if (!row) return null
    const { state } = row
    const confirmed = state['confirmed_flush_lsn']
    const reason = state['invalidation_reason'] ?? (state['wal_status'] === 'lost' ? 'wal_removed' : null)
    return {
      confirmedFlushLsn: typeof confirmed === 'string' ? parseLsn(confirmed) : null,
      isActive: state['active'] === true,
      activePid: typeof state['active_pid'] === 'number' ? state['active_pid'] : null,
      invalidation: reason === null ? null : String(reason),
      isUsable: state['plugin'] === 'pgoutput' && row.is_here && state['two_phase'] !== true,
    }
  } catch (error) {
    throw toCaptureError(error, `looking at replication slot ${slot}`)
  }
}

export type SlotDecision =
  | { readonly kind: 'resume'; readonly history: History; readonly resumeLsn: Lsn }
  | { readonly kind: 'create'; readonly reason: SnapshotReason; readonly why: string; readonly dropsFirst: boolean }
  /** Somebody else's slot has our name. */
  | { readonly kind: 'refuse'; readonly why: string }

/**
 * Whether the slot continues a history that we know. Pure. Any doubt means a new epoch: LSNs of another history compare
 * wrongly with ours, and nothing downstream would notice (PROTOCOL.md, "unknown history, forget").
 */
export function decideSlot(facts: {
  readonly slot: SlotState | null
  readonly ledger: LedgerEntry | null
  readonly server: ServerState
}): SlotDecision {
  const { slot, ledger, server } = facts
  if (slot && !slot.isUsable) {
    return { kind: 'refuse', why: 'it belongs to another database or another output plugin' }
  }
  const dropsFirst = slot !== null
  const lost = (why: string): SlotDecision => ({ kind: 'create', reason: 'slot-lost', why, dropsFirst })
  if (!ledger) {
    if (slot) return lost('the slot is not in our ledger: what it has missed is unknown')
    return { kind: 'create', reason: 'initial', why: 'there is no slot yet', dropsFirst }
  }
  if (!ledger.isSnapshotCompleted) {
    return { kind: 'create', reason: ledger.snapshotReason, why: 'its snapshot was not completed', dropsFirst }
  }
  const { history } = ledger
  if (history.systemIdentifier !== server.systemIdentifier) return lost('this is another database cluster')
  if (history.timeline !== server.timeline) return lost('the server is on another timeline')
  if (!slot) return lost('the slot is gone')
  if (slot.invalidation !== null) return lost(`the server has invalidated the slot: ${slot.invalidation}`)
  if (slot.confirmedFlushLsn === null) return lost('the slot has no confirmed position')
  if (slot.confirmedFlushLsn > server.walLsn) return lost("the slot is ahead of the server's WAL")
  return { kind: 'resume', history, resumeLsn: slot.confirmedFlushLsn }
}

export interface CreatedSlot {
  readonly consistentPoint: Lsn
  /** Valid until the connection's next command, or its end. */
  readonly snapshotName: string | null
}

/** Waits for transactions that are under way: see wait-for-slot.ts. @throws TrackOpsError */
export async function createSlot(
  connection: ReplicationConnection,
  options: { readonly slot: string; readonly isTemporary: boolean; readonly exportsSnapshot: boolean },
): Promise<CreatedSlot> {
  const temporary = options.isTemporary ? ' TEMPORARY' : ''
  const snapshot = options.exportsSnapshot ? 'EXPORT_SNAPSHOT' : 'NOEXPORT_SNAPSHOT'
  const [row] = await connection.query(
    `CREATE_REPLICATION_SLOT ${quoteIdentifier(options.slot)}${temporary} LOGICAL pgoutput ${snapshot}`,
  )
  const [, consistentPoint, snapshotName] = row ?? []
  if (!consistentPoint) throw new TrackOpsError('POSTGRES_PROTOCOL', 'CREATE_REPLICATION_SLOT gave no row')
  return { consistentPoint: parseLsn(consistentPoint), snapshotName: snapshotName ?? null }
}

/** @throws TrackOpsError SLOT_BUSY while a process reads it */
export async function dropSlot(sql: Sql, slot: string): Promise<void> {
  try {
    await sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = ${slot}`
  } catch (error) {
    throw toCaptureError(error, `dropping replication slot ${slot}`)
  }
}
