/**
 * The cache protocol for one key that several rows feed: a list view (`list`), or a query view (`query`). Two rows; each
 * transaction changes one of them. Commits are logged in the order of their numbers, may become visible in another, and
 * the LSNs of their changes may have a third: T1 may write at LSN 100 and commit after T2, which wrote at 200. Only for one
 * row are all three the same, as its lock is held until its transaction is visible.
 *
 * A row's state is the number of the last transaction that changed it. A snapshot is a set of transactions (a bit mask).
 */
import type { Emit, Machine } from './explore.ts'

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
type Rows = readonly [number, number]

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

const NOTHING: readonly string[] = []
const ZERO: Rows = [0, 0]
const IDLE: ListReader = { token: 0, seen: ZERO, need: 0, read: -1 }

export function listMachine(given: Partial<ListModelOptions> = {}): Machine<ListState> {
  const o: ListModelOptions = { ...LIST_DEFAULTS, ...given }
  const txs = o.changes.length
  const has = (rule: ListRule) => !o.off.includes(rule)
  const changeOf = (tx: number): ListChange => o.changes[tx - 1] ?? { row: 0, lsn: 0 }
  const bit = (tx: number): number => (tx === 0 ? 0 : 1 << (tx - 1))
  const isIn = (tx: number, snapshot: number): boolean => (snapshot & bit(tx)) === bit(tx)
  const upTo = (tx: number): number => (1 << tx) - 1

  function rowsIn(snapshot: number): Rows {
    const last = (row: number): number => {
      for (let tx = txs; tx > 0; tx--) if (changeOf(tx).row === row && isIn(tx, snapshot)) return tx
      return 0
    }
    return [last(0), last(1)]
  }

  function withRow(rows: Rows, row: 0 | 1, value: number): Rows {
    return row === 0 ? [value, rows[1]] : [rows[0], value]
  }

  const isBehind = (rows: Rows, other: Rows): boolean => rows[0] < other[0] || rows[1] < other[1]
  const newest = (a: Rows, b: Rows): Rows => [Math.max(a[0], b[0]), Math.max(a[1], b[1])]
  const copy = (s: ListState): ListState => ({ ...s, redis: { ...s.redis }, readers: [s.readers[0], s.readers[1]] })

  function isNew(list: NonNullable<ListRedis['list']>, tx: number): boolean {
    return !has('snapshot') || !isIn(tx, list.snapshot)
  }

  function note(r: ListRedis, tx: number): void {
    if (r.lease > 0 && has('passed')) r.passed |= bit(tx)
  }

  function invalidate(s: ListState, tx: number): void {
    const r = s.redis
    s.invAt = tx
    s.invMax = Math.max(s.invMax, tx)
    note(r, tx)
    const hasWarmerPassed = r.warm >= tx
    let isRemoved = false
    // A list to which the warmer has already brought this change cannot show it by its own snapshot.
    if (r.list && isNew(r.list, tx) && !(o.kind === 'list' && hasWarmerPassed)) {
      if (has('whole')) {
        r.list = null
        isRemoved = true
        s.owed = !hasWarmerPassed
      } else r.list = { ...r.list, rows: withRow(r.list.rows, changeOf(tx).row, -1) }
    }
    if (!hasWarmerPassed && has('mark') && (isRemoved || r.mark > 0)) {
      r.mark = tx
      r.markLsn = Math.max(r.markLsn, changeOf(tx).lsn)
    }
    if (has('atomic')) r.inv = tx
  }

  function applyMember(r: ListRedis, tx: number): void {
    const { row, lsn, leaves } = changeOf(tx)
    if (!r.list || !isNew(r.list, tx)) return
    const memberLsn = has('permember') ? r.list.lsns[row] : Math.max(...r.list.lsns)
    if (has('memberversion') && memberLsn >= lsn) return
    const lsns = withRow(r.list.lsns, row, leaves ? 0 : lsn)
    r.list = { ...r.list, rows: withRow(r.list.rows, row, tx), lsns }
  }

  function warm(s: ListState, tx: number): void {
    const r = s.redis
    s.warmAt = tx
    s.warmMax = Math.max(s.warmMax, tx)
    note(r, tx)
    const isMarkPassed = r.mark > 0 && (r.mark <= tx || r.markLsn <= changeOf(tx).lsn)
    if (o.kind === 'list') applyMember(r, tx)
    else if (r.list && isNew(r.list, tx)) r.list = null // and whoever runs the warmer is asked to fill it
    if (isMarkPassed) {
      r.mark = r.markLsn = 0
      s.owed = false
    }
    if (has('atomic')) r.warm = tx
  }

  function settle(s: ListState, at: 0 | 1): void {
    const r = s.redis
    const reader = s.readers[at]
    let answer = rowsIn(reader.read)
    // A member's version says nothing about the others: a token is looked for in the snapshot alone.
    if (r.list && isIn(reader.need, r.list.snapshot)) answer = r.list.rows
    else {
      if (has('bypass')) r.list = null
      const isPassedShown = (r.passed & ~reader.read) === 0
      if (!r.list && (!has('lease') || (r.lease === reader.token && isPassedShown))) {
        r.list = { snapshot: reader.read, rows: answer, lsns: ZERO }
        s.owed = false
      }
    }
    if (isBehind(answer, reader.seen) && !s.lost) s.back = true
    if (answer[changeOf(reader.need).row] < reader.need) s.unmet = true
    s.observed = newest(s.observed, answer)
    if (r.lease === reader.token || (has('ends') && !r.list)) r.lease = r.passed = 0
    s.readers[at] = IDLE
  }

  function readerSteps(s: ListState, at: 0 | 1, emit: Emit<ListState>): void {
    const reader = s.readers[at]
    if (reader.token === 0) {
      if (s.tokens >= o.reads) return
      for (let need = 0; need <= (o.tokens ? txs : 0); need++) {
        if (!isIn(need, s.shown) || (s.redis.list && isIn(need, s.redis.list.snapshot))) continue
        const t = copy(s)
        const token = ++t.tokens
        if (has('lease') && t.redis.lease === 0) t.redis.lease = token
        t.readers[at] = { token, seen: s.observed, need, read: -1 }
        emit('miss', token, need, t)
      }
    } else if (reader.read < 0) {
      const t = copy(s)
      t.readers[at] = { ...reader, read: s.shown }
      emit('read', reader.token, 0, t)
    } else {
      const t = copy(s)
      settle(t, at)
      emit('settle', reader.token, 0, t)
    }
  }

  function databaseSteps(s: ListState, emit: Emit<ListState>): void {
    // A row's lock is held until its transaction is visible.
    const before = rowsIn(upTo(s.logged))[changeOf(s.logged + 1).row]
    if (s.logged < txs && isIn(before, s.shown)) emit('commit', s.logged + 1, 0, { ...copy(s), logged: s.logged + 1 })
    for (let tx = 1; tx <= s.logged; tx++)
      if (!isIn(tx, s.shown)) emit('visible', tx, 0, { ...copy(s), shown: s.shown | bit(tx) })
  }

  function consumerSteps(s: ListState, emit: Emit<ListState>): void {
    const isReady = (tx: number) => tx <= s.logged && (!has('visible') || isIn(tx, s.shown))
    if (o.apart && isReady(s.invAt + 1)) {
      const t = copy(s)
      invalidate(t, s.invAt + 1)
      emit('invalidate', t.invAt, s.invAt, t)
    }
    if (isReady(s.warmAt + 1)) {
      const t = copy(s)
      warm(t, s.warmAt + 1)
      emit('warm', t.warmAt, s.warmAt, t)
    }
    const { inv, warm: warmed } = s.redis
    if (inv < s.invAt) {
      emit('store-position-inv', 0, 0, { ...copy(s), redis: { ...s.redis, inv: s.invAt } })
      if (s.crash > 0) emit('crash-inv', 0, 0, { ...copy(s), invAt: inv, crash: s.crash - 1 })
    }
    if (warmed < s.warmAt) {
      emit('store-position-warm', 0, 0, { ...copy(s), redis: { ...s.redis, warm: s.warmAt } })
      if (s.crash > 0) emit('crash-warm', 0, 0, { ...copy(s), warmAt: warmed, crash: s.crash - 1 })
    }
  }

  function redisSteps(s: ListState, emit: Emit<ListState>): void {
    const r = s.redis
    if (s.rollback > 0 && !s.saved) emit('redis-saves', 0, 0, { ...copy(s), saved: { ...r } })
    if (s.rollback > 0 && s.saved) {
      const back = { redis: { ...s.saved }, saved: null, rollback: s.rollback - 1, lost: true, owed: false }
      emit('redis-falls-back', 0, 0, { ...copy(s), ...back, invAt: s.saved.inv, warmAt: s.saved.warm })
    }
    if (s.evict === 0) return
    const evict = s.evict - 1
    if (r.list) emit('evict-value', 0, 0, { ...copy(s), evict, redis: { ...r, list: null } })
    if (r.lease > 0) emit('evict-lease', 0, 0, { ...copy(s), evict, redis: { ...r, lease: 0, passed: 0 } })
  }

  function steps(s: ListState, emit: Emit<ListState>): void {
    databaseSteps(s, emit)
    consumerSteps(s, emit)
    redisSteps(s, emit)
    const rows = s.redis.list?.rows
    if (rows && isBehind(s.observed, rows)) emit('hit', 0, 0, { ...copy(s), observed: newest(s.observed, rows) })
    readerSteps(s, 0, emit)
    if (o.readers > 1 && (s.readers[1].token > 0 || s.readers[0].token > 0)) readerSteps(s, 1, emit)
  }

  function broken(s: ListState): readonly string[] {
    const rows = s.redis.list?.rows
    const isAtRest =
      s.shown === upTo(txs) &&
      (!o.apart || s.invAt === txs) &&
      s.warmAt === txs &&
      s.readers[0].token === 0 &&
      s.readers[1].token === 0
    const properties: string[] = []
    if (isAtRest && rows && isBehind(rows, rowsIn(upTo(txs)))) properties.push('P1')
    if (!s.lost && (s.back || (rows && isBehind(rows, s.observed)))) properties.push('P2')
    if (!s.lost && rows && isBehind(rows, rowsIn(upTo(Math.max(s.invMax, s.warmMax))))) properties.push('P3')
    if (isAtRest && s.redis.mark > 0) properties.push('F')
    if (isAtRest && s.owed) properties.push('W')
    if (s.unmet) properties.push('L7')
    return properties.length > 0 ? properties : NOTHING
  }

  const redis: ListRedis = { list: null, lease: 0, passed: 0, mark: 0, markLsn: 0, inv: 0, warm: 0 }
  const start: ListState = {
    logged: 0,
    shown: 0,
    redis,
    saved: null,
    readers: [IDLE, IDLE],
    invAt: 0,
    warmAt: 0,
    invMax: 0,
    warmMax: 0,
    evict: o.evict,
    crash: o.crash,
    rollback: o.rollback,
    tokens: 0,
    observed: ZERO,
    back: false,
    unmet: false,
    lost: false,
    owed: false,
  }
  return { start, words: 7, pack, steps, broken }
}

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

function pack(s: ListState, words: Uint32Array): void {
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
