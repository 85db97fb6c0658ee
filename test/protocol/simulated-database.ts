/**
 * A PostgreSQL that only knows what the protocol asks of one: transactions with ids, LSNs and commit order, snapshots, and
 * the change events of rows. What happens when is up to the caller.
 *
 * - All transactions have their id from the start, in an order that has nothing to do with that of their commits.
 * - An LSN unit of the model is LSN_UNIT bytes; commit records lie in a range of their own, as positions are compared with
 *   positions only.
 */
import { toLsn, type Lsn } from '../../src/change/lsn.ts'
import type { ChangeEvent, Transaction } from '../../src/change/change-event.ts'
import type { Position } from '../../src/change/position.ts'
import type { Column, Relation } from '../../src/change/relation.ts'
import type { CompleteRow } from '../../src/change/row-image.ts'
import type { PlanItem } from '../../src/cache/plan.ts'

/** The row `id` as a transaction leaves it; null: it is gone. */
export interface SimulatedChange {
  readonly id: string
  readonly before: SimulatedRow | null
  readonly after: SimulatedRow | null
  /** In units of the model. */
  readonly lsn: number
}

export interface SimulatedRow {
  readonly owner: string
  /** The transaction that wrote it. */
  readonly v: number
}

const LSN_UNIT = 0x1000
const COMMIT_BASE = 0x100_0000
/** 2^32 + some: an epoch must not get lost. */
const FIRST_XID = 4_294_968_000n

export interface SimulatedDatabase {
  xidOf(tx: number): bigint
  /** Transaction 0: before all changes. */
  commitPosition(tx: number): Position
  lsnOf(units: number): Lsn
  /** Between the change with this LSN and the next: what a write's token holds. */
  lsnAfter(units: number): Lsn
  /** `pg_snapshot` that shows these transactions, of those that have begun. */
  snapshotText(shown: ReadonlySet<number>): string
  /** The transactions that a snapshot made here shows. */
  shownBy(snapshotText: string): ReadonlySet<number>
  planItem(tx: number): PlanItem
}

/** `order`: transaction to the rank of its id, from 0: a permutation. Transactions are numbered from 1. */
export function simulatedDatabase(changes: readonly SimulatedChange[], order: readonly number[]): SimulatedDatabase {
  const xidOf = (tx: number): bigint => FIRST_XID + BigInt((order[tx - 1] ?? tx) * 2)
  const all = changes.map((_change, index) => index + 1)
  const commitPosition = (tx: number): Position => ({
    commitLsn: toLsn(BigInt(tx === 0 ? 1 : COMMIT_BASE + tx * LSN_UNIT)),
    ordinal: tx === 0 ? 0 : 1,
  })
  const lsnOf = (units: number): Lsn => toLsn(BigInt(units * LSN_UNIT))

  return {
    xidOf,
    commitPosition,
    lsnOf,
    lsnAfter: (units) => toLsn(BigInt(units * LSN_UNIT + LSN_UNIT / 2)),

    snapshotText(shown) {
      const running = all.filter((tx) => !shown.has(tx)).map(xidOf)
      running.sort((a, b) => (a < b ? -1 : 1))
      const xmax = FIRST_XID + BigInt(all.length * 2)
      return `${running[0] ?? xmax}:${xmax}:${running.join(',')}`
    },

    shownBy(text) {
      const [, , running = ''] = text.split(':')
      const hidden = new Set(running.split(','))
      return new Set(all.filter((tx) => !hidden.has(String(xidOf(tx)))))
    },

    planItem(tx) {
      const change = changes[tx - 1]
      if (!change) throw new RangeError(`no transaction ${tx}`)
      const position = commitPosition(tx)
      const transaction: Transaction = {
        xid: Number(xidOf(tx) & 0xffff_ffffn),
        commitLsn: position.commitLsn,
        commitTimeMicros: BigInt(tx),
        previousCommitEndLsn: null,
        origin: null,
      }
      const where = { position, lsn: lsnOf(change.lsn), transaction, relation: RELATION }
      const before = change.before && imageOf(change.id, change.before)
      const after = change.after && imageOf(change.id, change.after)
      const events: ChangeEvent[] = []
      if (before && after) events.push({ ...where, op: 'u', before, after })
      else if (after) events.push({ ...where, op: 'c', after })
      else if (before) events.push({ ...where, op: 'd', before })
      return { kind: 'transaction', xid64: xidOf(tx), changes: events, isWhole: true }
    },
  }
}

const COLUMNS: readonly Column[] = ['id', 'owner', 'v'].map((name) => ({
  name,
  type: { oid: 25, rootOid: 25, name: 'text', modifier: -1, kind: 'base', element: null },
  isIdentity: true,
  isNullable: true,
  defaultExpression: null,
}))

const RELATION: Relation = {
  oid: 16384,
  schema: 'public',
  table: 'items',
  replicaIdentity: 'full',
  columns: COLUMNS,
  keyColumns: [0],
  columnIndex: new Map(COLUMNS.map(({ name }, index) => [name, index])),
}

function imageOf(id: string, row: SimulatedRow): CompleteRow {
  return { kind: 'complete', relation: RELATION, texts: [id, row.owner, String(row.v)] }
}
