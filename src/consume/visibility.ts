import type { Sql } from 'postgres'

import type { History } from '../change/change-event.ts'
import { type Lsn, parseLsn } from '../change/lsn.ts'
import { extendXid, isVisible, parseSnapshot, showsAll, type Snapshot } from '../change/transaction-id.ts'
import { pause } from '../runtime/backoff.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'

/**
 * Visible before processed (PROTOCOL.md). Logical decoding sends a transaction when its commit record is flushed; readers
 * see it when its backend has left the list of running transactions, which with synchronous replication may be much
 * later. A fill between the two would install the old state, with no event left to mend it. So a change is processed
 * only once a snapshot shows its transaction.
 *
 * One query serves all transactions of a batch, and all consumers: what one snapshot shows, every later one shows.
 */
export interface Visibility {
  /**
   * Resolves when all these transactions are visible to readers, with their 64-bit ids.
   *
   * @throws TrackOpsError HISTORY_CHANGED if the server is another, or does not know such a transaction: waiting would
   * never end, and what is in the cache belongs to a history that is gone
   */
  wait(xids: readonly number[], signal: AbortSignal): Promise<ReadonlyMap<number, bigint>>
  /** Takes a snapshot now, where there is no transaction to wait for. @throws TrackOpsError as `wait` */
  look(): Promise<Seen>
  /**
   * Resolves when readers see all that is visible in `before`: the snapshot of a slot's first position, which counts a transaction
   * as soon as its commit record is written. Others that run meanwhile are not waited for: they may be waiting for us.
   */
  waitForAll(before: Snapshot, signal: AbortSignal): Promise<void>
  /** The newest snapshot seen, with the WAL insert position taken after it. */
  newest(): Seen | undefined
}

export interface Seen {
  readonly snapshot: Snapshot
  /** All transactions below `snapshot.xmin` have their commit records before this. */
  readonly insertLsn: Lsn
}

/** Readers usually see a commit within microseconds, so the first waits are short; a standby may take its time. */
const WAITS_MS = [1, 1, 2, 5, 10, 25, 50, 100, 250]
/** After this many looks at the same transaction, ask what became of it: it may belong to another history. */
const LOOKS_BEFORE_DOUBT = 8
/** System identifier and timeline ride on every query; this bounds how long a batch may rely on an older answer. */
const MAX_AGE_MS = 1000

export function createVisibility(deps: {
  readonly sql: Sql
  readonly history: History
  /** Milliseconds of a clock that never jumps. Default performance.now. */
  readonly now?: () => number
}): Visibility {
  const now = deps.now ?? (() => performance.now())
  let seen: (Seen & { readonly atMs: number }) | undefined
  let looking: Promise<Seen> | undefined

  /** Whoever asks during a look shares it: if it was too early for him, he looks again. */
  async function look(): Promise<Seen> {
    looking ??= (async () => {
      try {
        const taken = await takeSnapshot(deps.sql, deps.history)
        seen = { ...taken, atMs: now() }
        return taken
      } finally {
        looking = undefined
      }
    })()
    return await looking
  }

  return {
    newest: () => seen,

    look,

    async waitForAll(before, signal) {
      for (let looks = 0; ; looks++) {
        const { snapshot } = await look()
        if (showsAll(before, snapshot)) return
        await pause(WAITS_MS[Math.min(looks, WAITS_MS.length - 1)] ?? 250, signal)
        signal.throwIfAborted()
      }
    },

    async wait(xids, signal) {
      const extended = new Map<number, bigint>()
      if (xids.length === 0) return extended
      let snapshot = seen && now() - seen.atMs < MAX_AGE_MS ? seen.snapshot : (await look()).snapshot
      for (let looks = 0; ; looks++) {
        const near = snapshot.xmax
        const missing = xids.find((xid) => !isVisible(extendXid(xid, near), snapshot))
        if (missing === undefined) {
          for (const xid of xids) extended.set(xid, extendXid(xid, near))
          return extended
        }
        if (looks >= LOOKS_BEFORE_DOUBT) await assertInProgress(deps.sql, extendXid(missing, near))
        if (looks > 0) await pause(WAITS_MS[Math.min(looks - 1, WAITS_MS.length - 1)] ?? 250, signal)
        signal.throwIfAborted()
        snapshot = (await look()).snapshot
      }
    },
  }
}

/** Of the primary. @throws TrackOpsError DATABASE_IS_STANDBY, POSTGRES_... */
export async function readDatabaseHistory(sql: Sql): Promise<Pick<History, 'systemIdentifier' | 'timeline'>> {
  const { history } = await look(sql)
  return history
}

async function takeSnapshot(sql: Sql, expected: History): Promise<Seen> {
  const { history, seen } = await look(sql)
  if (history.systemIdentifier !== expected.systemIdentifier || history.timeline !== expected.timeline) {
    throw new TrackOpsError('HISTORY_CHANGED', 'the database is of another history than the change stream', {
      details: {
        systemIdentifier: history.systemIdentifier,
        expectedSystemIdentifier: expected.systemIdentifier,
        timeline: history.timeline,
        expectedTimeline: expected.timeline,
      },
    })
  }
  return seen
}

interface Look {
  readonly history: Pick<History, 'systemIdentifier' | 'timeline'>
  readonly seen: Seen
}

async function look(sql: Sql): Promise<Look> {
  const rows = await sql<
    { snapshot: string; insert_lsn: string | null; system_identifier: string; timeline: number | null }[]
  >`
    select pg_current_snapshot()::text as snapshot,
           case when not pg_is_in_recovery() then pg_current_wal_insert_lsn()::text end as insert_lsn,
           (select system_identifier::text from pg_control_system()) as system_identifier,
           case when not pg_is_in_recovery()
                then ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end as timeline`.catch(
    (error: unknown) => {
      throw fromPostgres(error, 'asking which transactions are visible')
    },
  )
  const row = rows[0]
  if (!row) throw new TrackOpsError('POSTGRES_PROTOCOL', 'PostgreSQL gave no snapshot')
  // A standby's snapshots omit running transactions. After a failover it passes: the address will lead to the new primary.
  if (row.insert_lsn === null || row.timeline === null) {
    throw new TrackOpsError('DATABASE_IS_STANDBY', 'the database that should show what is visible is a standby')
  }
  return {
    history: { systemIdentifier: row.system_identifier, timeline: row.timeline },
    seen: { snapshot: parseSnapshot(row.snapshot), insertLsn: parseLsn(row.insert_lsn) },
  }
}

/** A commit that the stream has shown and that is not visible is in progress still, or is not of this history. */
async function assertInProgress(sql: Sql, xid: bigint): Promise<void> {
  let status: string | null
  try {
    const rows = await sql<{ status: string | null }[]>`select pg_xact_status(${xid.toString()}::text::xid8) as status`
    status = rows[0]?.status ?? null
  } catch (error) {
    const known = fromPostgres(error, 'asking what became of a transaction')
    if (known instanceof TrackOpsError) throw known
    status = 'in the future'
  }
  if (status === 'in progress' || status === 'committed') return
  throw new TrackOpsError('HISTORY_CHANGED', `a streamed transaction is ${status ?? 'forgotten'} in the database`, {
    details: { xid: xid.toString() },
  })
}
