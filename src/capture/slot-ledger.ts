import type { Sql, TransactionSql } from 'postgres'

import type { History } from '../change/change-event.ts'
import { toCaptureError } from './postgres-error.ts'

/**
 * Which slots are ours, in the source database: the epoch that names a slot's history, and whether its snapshot was applied.
 * A slot made anew under the same name has another epoch, so nobody takes its LSNs for a continuation.
 *
 * The row is written before the slot is made. So a crash at any point leaves a row without a completed snapshot, which
 * means: begin anew.
 */
export const SLOT_LEDGER_DDL = `
do $$ begin if to_regnamespace('trackops') is null then create schema trackops; end if; end $$;
create table if not exists trackops.slots (
  slot_name text primary key,
  epoch uuid not null,
  system_identifier text not null,
  timeline int not null,
  created_at timestamptz not null default now(),
  snapshot_completed_at timestamptz,
  -- why the snapshot is taken; outlives an interrupted one
  snapshot_reason text not null default 'initial' check (snapshot_reason in ('initial', 'slot-lost')),
  -- how often this epoch's slot was connected to: what is put back to an older copy knows of fewer than a witness does
  connections bigint not null default 0
);
alter table trackops.slots add column if not exists connections bigint not null default 0;
`

export type SnapshotReason = 'initial' | 'slot-lost'

export interface LedgerEntry {
  readonly history: History
  readonly isSnapshotCompleted: boolean
  readonly snapshotReason: SnapshotReason
  readonly connections: number
}

export interface SlotLedger {
  read(slot: string): Promise<LedgerEntry | null>
  /** Notes a new epoch, whose snapshot is still to come. */
  begin(slot: string, history: History, reason: SnapshotReason): Promise<void>
  /** The snapshot's effects are safe. Only for the given epoch. */
  completeSnapshot(slot: string, epoch: string): Promise<void>
  /** Counts one connection more. null: it knows of fewer than `known`, or of another epoch, as a copy of before does. */
  countConnection(slot: string, epoch: string, known: number): Promise<number | null>
  /** Changes were lost: the next to open the slot makes it anew. Only for the given epoch. */
  invalidate(slot: string, epoch: string): Promise<void>
}

/** Creates the table where it is missing. @throws TrackOpsError POSTGRES_UNREACHABLE, POSTGRES_REFUSED */
export async function openSlotLedger(sql: Sql): Promise<SlotLedger> {
  /** Our own bookkeeping never waits for a synchronous standby that may not be there. */
  async function write<T>(statement: (tx: TransactionSql) => PromiseLike<T>): Promise<T> {
    try {
      const written = await sql.begin(async (tx) => {
        await tx`set local synchronous_commit = local`
        return { result: await statement(tx) }
      })
      return written.result as T
    } catch (error) {
      throw toCaptureError(error, 'writing the slot ledger')
    }
  }

  async function read(slot: string): Promise<LedgerEntry | null> {
    try {
      const [row] = await sql<
        {
          epoch: string
          system_identifier: string
          timeline: number
          is_completed: boolean
          snapshot_reason: SnapshotReason
          connections: string
        }[]
      >`select epoch::text, system_identifier, timeline, snapshot_completed_at is not null as is_completed, snapshot_reason,
               connections::text
          from trackops.slots where slot_name = ${slot}`
      if (!row) return null
      const history = { systemIdentifier: row.system_identifier, timeline: row.timeline, slotEpoch: row.epoch }
      return {
        history,
        isSnapshotCompleted: row.is_completed,
        snapshotReason: row.snapshot_reason,
        connections: Number(row.connections),
      }
    } catch (error) {
      throw toCaptureError(error, 'reading the slot ledger')
    }
  }

  const [present] = await sql<{ exists: boolean }[]>`
    select exists (select from pg_attribute
                    where attrelid = to_regclass('trackops.slots') and attname = 'connections') as exists`.catch(
    (error: unknown) => {
      throw toCaptureError(error, 'looking for the slot ledger')
    },
  )
  if (!present?.exists) {
    await write(async (tx) => {
      // two that start at once would both find nothing: "if not exists" alone does not serialise them
      await tx`select pg_advisory_xact_lock(hashtext('trackops.slots'))`
      await tx`set local client_min_messages = warning`
      await tx.unsafe(SLOT_LEDGER_DDL)
    })
  }

  return {
    read,
    begin: async (slot, history, reason) => {
      await write(
        (tx) => tx`
          insert into trackops.slots (slot_name, epoch, system_identifier, timeline, snapshot_reason)
          values (${slot}, ${history.slotEpoch}, ${history.systemIdentifier}, ${history.timeline}, ${reason})
          on conflict (slot_name) do update
            set epoch = excluded.epoch, system_identifier = excluded.system_identifier, timeline = excluded.timeline,
                created_at = now(), snapshot_completed_at = null, snapshot_reason = excluded.snapshot_reason,
                connections = 0`,
      )
    },
    completeSnapshot: async (slot, epoch) => {
      await write(
        (tx) => tx`
          update trackops.slots set snapshot_completed_at = now()
           where slot_name = ${slot} and epoch = ${epoch} and snapshot_completed_at is null`,
      )
    },
    async countConnection(slot, epoch, known) {
      const [row] = await write(
        (tx) => tx<{ connections: string }[]>`
          update trackops.slots set connections = connections + 1
           where slot_name = ${slot} and epoch = ${epoch} and connections >= ${known}
          returning connections::text`,
      )
      return row ? Number(row.connections) : null
    },
    invalidate: async (slot, epoch) => {
      await write(
        (tx) => tx`
          update trackops.slots set snapshot_completed_at = null, snapshot_reason = 'slot-lost'
           where slot_name = ${slot} and epoch = ${epoch}`,
      )
    },
  }
}
