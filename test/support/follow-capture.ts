import type { Sql } from 'postgres'

import { defer } from './defer.ts'
import type {
  ChangeEvent,
  Progress,
  SnapshotPiece,
  StreamItem,
  TransactionPiece,
} from '../../src/change/change-event.ts'
import type { Lsn } from '../../src/change/lsn.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import type { Capture } from '../../src/capture/capture.ts'
import { openCapture, type OpenCaptureOptions } from '../../src/capture/open-capture.ts'

/** For tests: a capture whose stream is pulled step by step, with everything that came written down. */

interface Scope {
  after(cleanup: () => void | Promise<void>): void
}

export interface Follower {
  readonly capture: Capture
  readonly items: StreamItem[]
  /** Pulls until the condition holds; what came by is in `items`. Acks nothing. */
  pullUntil(isEnough: (item: StreamItem) => boolean): Promise<StreamItem>
  /** Pulls until all that is committed in the database now has come. Acks nothing. */
  catchUp(sql: Sql): Promise<void>
  transactions(): TransactionPiece[]
  snapshots(): SnapshotPiece[]
  progress(): Progress[]
  /** Of transactions, in order. */
  changes(): ChangeEvent[]
  stop(): Promise<void>
}

export function follow(scope: Scope, capture: Capture): Follower {
  const aborter = new AbortController()
  const iterator = capture.stream(aborter.signal)[Symbol.asyncIterator]()
  const items: StreamItem[] = []

  async function pullUntil(isEnough: (item: StreamItem) => boolean): Promise<StreamItem> {
    for (;;) {
      const { value, done } = await iterator.next()
      if (done) throw new Error('the stream ended before what was waited for came')
      items.push(value)
      if (isEnough(value)) return value
    }
  }
  async function stop(): Promise<void> {
    aborter.abort()
    await capture.close()
  }
  const transactions = (): TransactionPiece[] => items.filter((item) => item.kind === 'transaction')
  defer(scope, stop)

  return {
    capture,
    items,
    pullUntil,
    async catchUp(sql) {
      // the mark flushes what was committed asynchronously before it, too
      const mark = `catch-up-${Math.random()}`
      await sql`select pg_logical_emit_message(true, ${mark}, '')`
      await pullUntil(
        (item) => item.kind === 'transaction' && item.changes.some((c) => c.op === 'm' && c.prefix === mark),
      )
      const last = transactions().at(-1)
      items.splice(items.indexOf(last as StreamItem), 1)
      if (last && last.changes.length > 1) throw new Error('the mark was not alone in its transaction')
    },
    transactions,
    snapshots: () => items.filter((item) => item.kind === 'snapshot'),
    progress: () => items.filter((item) => item.kind === 'progress'),
    changes: () => transactions().flatMap((piece) => piece.changes),
    stop,
  }
}

export type FollowOptions = Partial<OpenCaptureOptions> & { readonly tables: readonly string[] }

/** In a database of its own where none is given; the slot's name is unique in the server. */
export async function openTestCapture(
  scope: Scope,
  database: { readonly sql: Sql; readonly url: string },
  options: FollowOptions,
): Promise<Follower> {
  const capture = await openCapture(
    { sql: database.sql, log: SILENT },
    { databaseUrl: database.url, slot: slotName(database.url), publication: 'test_publication', ...options },
  )
  return follow(scope, capture)
}

/** Slots are the server's, databases are the tests'. */
export function slotName(url: string): string {
  return `slot_${new URL(url).pathname.slice(1)}`
}

/** The row's texts by column name; what the event lacks is undefined. */
export function texts(change: ChangeEvent, side: 'before' | 'after'): Record<string, string | null | undefined> | null {
  const row = side in change ? (change as { before?: unknown; after?: unknown })[side] : null
  if (row === null || row === undefined || typeof row !== 'object' || !('relation' in change)) return null
  const values = (row as { texts: readonly (string | null | undefined)[] }).texts
  return Object.fromEntries(change.relation.columns.map((column, index) => [column.name, values[index]]))
}

/** `[op, table]` of each. */
export function outline(changes: readonly ChangeEvent[]): string[] {
  return changes.map((change) => ('relation' in change ? `${change.op} ${change.relation.table}` : change.op))
}

export async function confirmedLsn(sql: Sql, slot: string): Promise<Lsn> {
  const [row] = await sql<{ lsn: string }[]>`
    select (confirmed_flush_lsn - '0/0'::pg_lsn)::text as lsn from pg_replication_slots where slot_name = ${slot}`
  return BigInt(row?.lsn ?? '0') as Lsn
}
