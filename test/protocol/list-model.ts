/**
 * The cache protocol for one key that several rows feed: a list view (`list`), or a query view (`query`). Two rows; each
 * transaction changes one of them. Commits are logged in the order of their numbers, may become visible in another, and
 * the LSNs of their changes may have a third: T1 may write at LSN 100 and commit after T2, which wrote at 200. Only for one
 * row are all three the same, as its lock is held until its transaction is visible.
 *
 * A row's state is the number of the last transaction that changed it. A snapshot is a set of transactions (a bit mask).
 */
import type { Emit, Machine } from './explore.ts'
import {
  IDLE,
  LIST_DEFAULTS,
  type ListChange,
  type ListModelOptions,
  type ListRedis,
  type ListRule,
  type ListState,
  pack,
  type Rows,
  ZERO,
} from './list-model-state.ts'

const NOTHING: readonly string[] = []

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
