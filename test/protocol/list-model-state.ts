/** The list model's options and rules, its state, and how a state is packed. What it means: list-model.ts. */

export type ListRule =
  /** A list remembers the snapshot that it was filled from; a change visible in it neither adds nor removes. */
  | 'snapshot'
  /** A member remembers the LSN of the change that made it. */
  | 'memberversion'
  /** There is one version for each member (off: one LSN for the whole list). */
  | 'permember'
  /** The invalidator, when apart, deletes the whole list (off: the member, and the list has a hole). */
  | 'whole'
  /** A list that the invalidator deleted is refilled when the warmer comes by. */
  | 'mark'
  | 'lease'
  | 'passed'
  | 'ends'
  | 'visible'
  | 'atomic'
  | 'bypass'

export interface ListChange {
  readonly row: 0 | 1
  /** 1 to 7. */
  readonly lsn: number
  /** The row leaves the list: deleted, or moved to another. */
  readonly leaves?: boolean
}

export interface ListModelOptions {
  readonly kind: 'list' | 'query'
  /** In commit order, up to 3. */
  readonly changes: readonly ListChange[]
  readonly readers: number
  readonly reads: number
  readonly evict: number
  readonly crash: number
  readonly rollback: number
  readonly apart: boolean
  readonly tokens: boolean
  readonly off: readonly ListRule[]
}

export const LIST_DEFAULTS: ListModelOptions = {
  kind: 'list',
  changes: [
    { row: 0, lsn: 2 },
    { row: 1, lsn: 1 },
    { row: 0, lsn: 3 },
  ],
  readers: 2,
  reads: 3,
  evict: 1,
  crash: 1,
  rollback: 0,
  apart: true,
  tokens: false,
  off: [],
}

/** Row 0's and row 1's last transaction; -1 is a hole: the list does not say anything about the row. */
export type Rows = readonly [number, number]

export interface ListRedis {
  /** null: there is none. `lsns`: of the change that made each member, 0 for one from the fill (or one that left). */
  list: { readonly snapshot: number; readonly rows: Rows; readonly lsns: Rows } | null
  lease: number
  /** Transactions noted in the lease. */
  passed: number
  /** The invalidator has deleted a list here and the warmer has not come by: where the invalidator was, 0 for no mark. */
  mark: number
  /** The greatest LSN of the changes since. */
  markLsn: number
  inv: number
  warm: number
}

export interface ListReader {
  readonly token: number
  readonly seen: Rows
  /** The transaction of this reader's freshness token, or 0. */
  readonly need: number
  /** The snapshot read; -1 before the read. */
  readonly read: number
}

export interface ListState {
  logged: number
  shown: number
  redis: ListRedis
  saved: ListRedis | null
  readers: [ListReader, ListReader]
  invAt: number
  warmAt: number
  invMax: number
  warmMax: number
  evict: number
  crash: number
  rollback: number
  /** Tokens given so far. */
  tokens: number
  observed: Rows
  back: boolean
  unmet: boolean
  lost: boolean
  /** The invalidator has deleted a list, and nobody has been asked to fill it again. */
  owed: boolean
}

export const ZERO: Rows = [0, 0]
export const IDLE: ListReader = { token: 0, seen: ZERO, need: 0, read: -1 }

function packRows(rows: Rows): number {
  return ((rows[0] + 1) << 3) | (rows[1] + 1)
}

function packList(r: ListRedis): number {
  if (!r.list) return 0
  return 1 | (r.list.snapshot << 1) | (packRows(r.list.rows) << 4) | (r.list.lsns[0] << 10) | (r.list.lsns[1] << 13)
}

function packBeside(r: ListRedis): number {
  return (r.markLsn << 11) | (r.lease << 9) | (r.passed << 6) | (r.mark << 4) | (r.inv << 2) | r.warm
}

function packReader(r: ListReader): number {
  return (r.token << 12) | (packRows(r.seen) << 6) | (r.need << 4) | (r.read + 1)
}

export function pack(s: ListState, words: Uint32Array): void {
  const [a, b] = [packReader(s.readers[0]), packReader(s.readers[1])]
  words[0] = packList(s.redis) * 16384 + packBeside(s.redis)
  words[1] = s.saved ? packList(s.saved) : 0
  words[2] = s.saved ? 16384 + packBeside(s.saved) : 0
  words[3] = Math.max(a, b)
  words[4] = Math.min(a, b)
  words[5] =
    (s.logged << 25) |
    (s.shown << 22) |
    (s.invAt << 20) |
    (s.warmAt << 18) |
    (s.invMax << 16) |
    (s.warmMax << 14) |
    (packRows(s.observed) << 8) |
    (s.tokens << 6) |
    (s.evict << 4) |
    (s.crash << 2) |
    (s.rollback << 1) |
    (s.owed ? 1 : 0)
  words[6] = (s.back ? 4 : 0) | (s.unmet ? 2 : 0) | (s.lost ? 1 : 0)
}
