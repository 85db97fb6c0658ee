/**
 * The cache protocol for one key of a row view, as a machine whose every interleaving can be explored: docs/invariants.md
 * names the properties. A value is the number of the transaction that wrote it: transaction k makes version k, and
 * version 0 is "no such row". Each rule can be switched off, to see what it is for.
 *
 * Where the system has more than one row and one value, the model has it too:
 * - entries that say "no such row" (`absent`): made by reads only, at a key of their own beside the value
 * - readers that present the token of a write (`tokens`): an entry that is older counts as evicted
 * - a delete followed by an insert of the same key whose LSN is lower (`lsns`): a heap insert's WAL record precedes its
 *   wait in the unique index check, so for one key LSN order is not always commit order
 * - several changes in one call (`coalesce`)
 * - a TRUNCATE that travels apart from the row's changes (`truncate`), as it does on another Kafka partition
 * - a lost slot (`gap`): changes that nobody will ever process, then a forget of the key
 */
import type { Emit, Machine } from './explore.ts'
import { createOperations, isGone, lsnOf } from './model-operations.ts'
import {
  EMPTY,
  entryVersion,
  IDLE,
  MODEL_DEFAULTS,
  type ModelOptions,
  type ModelState,
  pack,
  type Redis,
  type Rule,
} from './model-state.ts'

const NOTHING: readonly string[] = []

export function rowMachine(given: Partial<ModelOptions> = {}): Machine<ModelState> {
  const o: ModelOptions = { ...MODEL_DEFAULTS, ...given }
  const has = (rule: Rule) => !o.off.includes(rule)
  const [lease, keepFence, visible, atomic] = [has('lease'), has('keepfence'), has('visible'), has('atomic')]
  const [gapVisible, sweepFences, repositionLast] = [has('gapvisible'), has('sweepfences'), has('repositionlast')]
  const keepMarks = has('keepmarks')
  const { invalidate, warm, settle, isAtFloor, dropEntry, dropLease, dropFence } = createOperations(o)

  function copy(s: ModelState): ModelState {
    return { ...s, redis: { ...s.redis }, readers: [{ ...s.readers[0] }, { ...s.readers[1] }] }
  }

  function readerSteps(s: ModelState, at: 0 | 1, emit: Emit<ModelState>): void {
    const reader = s.readers[at]
    const r = s.redis
    if (reader.token === 0) {
      const entry = isAtFloor(s) ? entryVersion(r) : -1
      const isAboveEntry = entry < 0 && entryVersion(r) >= 0
      if (s.tokens >= o.reads) return
      for (let need = entry < 0 ? 0 : entry + 1; need <= (o.tokens ? s.shown : entry < 0 ? 0 : -1); need++) {
        const t = copy(s)
        const token = ++t.tokens
        if (lease && r.lease === 0) t.redis.lease = token
        t.readers[at] = { token, seen: s.observed, need, generation: r.generation, read: 0, bound: 0, isAboveEntry }
        emit('miss', token, need, t)
      }
    } else if (reader.read === 0) {
      const t = copy(s)
      let bound = 0
      for (let tx = 1; tx <= s.logged; tx++) bound = Math.max(bound, lsnOf(o, tx))
      t.readers[at] = { ...reader, read: s.shown + 1, bound }
      emit('read', reader.token, 0, t)
    } else {
      const t = copy(s)
      settle(t, at)
      emit('settle', reader.token, 0, t)
    }
  }

  function databaseSteps(s: ModelState, emit: Emit<ModelState>): void {
    if (s.logged < o.txs && s.logged === s.shown) {
      const t = copy(s) // the row lock is held until the transaction is visible
      emit('commit', ++t.logged, 0, t)
    }
    if (s.shown < s.logged) {
      const t = copy(s)
      emit('visible', ++t.shown, 0, t)
    }
    if (s.gap > 0 && s.warmAt < s.logged && s.forget === 'none') {
      const t = copy(s)
      t.gap--
      t.gapAt = s.logged
      t.forget = 'raise'
      emit('slot-lost', s.logged, 0, t)
    }
    forgetSteps(s, emit)
    truncateSteps(s, emit)
  }

  function reposition(s: ModelState): void {
    s.redis.inv = s.redis.warm = s.invAt = s.warmAt = s.invMax = s.warmMax = s.gapAt
  }

  function forgetSteps(s: ModelState, emit: Emit<ModelState>): void {
    if (s.forget === 'none' || (s.forget === 'raise' && gapVisible && s.shown < s.gapAt)) return
    const t = copy(s)
    if (s.forget === 'raise') {
      t.redis.generation = 1
      if (!repositionLast) reposition(t)
      t.forget = 'sweep-values'
    } else if (s.forget === 'sweep-values') {
      dropEntry(t.redis)
      if (sweepFences) dropFence(t.redis)
      if (!keepMarks) t.redis.answered = 0
      t.forget = 'sweep-leases'
    } else if (s.forget === 'sweep-leases') {
      dropLease(t.redis)
      t.forget = 'reposition'
    } else {
      if (repositionLast) reposition(t)
      t.forget = 'none'
    }
    emit(`forget-${s.forget}`, 0, 0, t)
  }

  /** The view's fence and generation are raised, then its keys are swept; only then is the position stored. */
  function truncateSteps(s: ModelState, emit: Emit<ModelState>): void {
    if (o.truncate === 0 || s.truncate === 'done') return
    if (o.truncate > (visible ? s.shown : s.logged)) return
    const t = copy(s)
    if (s.truncate === 'none') {
      t.redis.hasViewFence = true
      t.redis.generation = 1
      t.truncate = 'raised'
    } else if (s.truncate === 'raised') {
      dropEntry(t.redis)
      t.truncate = 'swept-values'
    } else {
      dropLease(t.redis)
      t.truncate = 'done'
      t.invMax = Math.max(t.invMax, o.truncate)
    }
    emit(`truncate-${s.truncate}`, 0, 0, t)
  }

  function consumerSteps(s: ModelState, emit: Emit<ModelState>): void {
    if (s.forget !== 'none') return
    const ready = visible ? s.shown : s.logged
    for (let to = s.invAt + 1; o.apart && to <= ready && (to === s.invAt + 1 || o.coalesce); to++) {
      const t = copy(s)
      invalidate(t, to)
      emit('invalidate', to, s.invAt, t)
    }
    for (let to = s.warmAt + 1; to <= ready && (to === s.warmAt + 1 || o.coalesce); to++) {
      const t = copy(s)
      warm(t, to)
      emit('warm', to, s.warmAt, t)
    }
    if (s.redis.inv < s.invAt) {
      const t = copy(s)
      t.redis.inv = s.invAt
      emit('store-position-inv', 0, 0, t)
      if (s.crash > 0) emit('crash-inv', 0, 0, { ...copy(s), invAt: s.redis.inv, crash: s.crash - 1 })
    }
    if (s.redis.warm < s.warmAt) {
      const t = copy(s)
      t.redis.warm = s.warmAt
      emit('store-position-warm', 0, 0, t)
      if (s.crash > 0) emit('crash-warm', 0, 0, { ...copy(s), warmAt: s.redis.warm, crash: s.crash - 1 })
    }
  }

  function redisSteps(s: ModelState, emit: Emit<ModelState>): void {
    const r = s.redis
    if (s.rollback > 0 && !s.saved) emit('redis-saves', 0, 0, { ...copy(s), saved: { ...r } })
    if (s.rollback > 0 && s.saved) {
      const t = { ...copy(s), redis: { ...s.saved }, saved: null, lost: true, rollback: s.rollback - 1, floor: s.shown }
      for (let tx = 1; tx <= s.logged; tx++) t.floorLsn = Math.max(t.floorLsn, lsnOf(o, tx))
      t.invAt = t.redis.inv
      t.warmAt = t.redis.warm
      // The log does not reach back beyond the lost slot: forget again.
      if (t.redis.warm < s.gapAt || t.redis.inv < s.gapAt) t.forget = 'raise'
      emit('redis-falls-back', 0, 0, t)
    }
    if (s.evict === 0) return
    const evicted = (what: string, change: (redis: Redis) => void) => {
      const t = copy(s)
      t.evict--
      change(t.redis)
      emit(what, 0, 0, t)
    }
    if (entryVersion(r) >= 0) evicted('evict-value', dropEntry)
    if (r.lease > 0) evicted('evict-lease', dropLease)
    if (!keepFence && r.fence > 0) evicted('evict-fence', dropFence)
  }

  function steps(s: ModelState, emit: Emit<ModelState>): void {
    databaseSteps(s, emit)
    consumerSteps(s, emit)
    redisSteps(s, emit)
    const entry = entryVersion(s.redis)
    if (entry > s.observed && isAtFloor(s)) emit('hit', 0, 0, { ...copy(s), observed: entry })
    // Idle readers are alike: one of them is enough to begin.
    readerSteps(s, 0, emit)
    if (o.readers > 1 && (s.readers[1].token > 0 || s.readers[0].token > 0)) readerSteps(s, 1, emit)
  }

  function broken(s: ModelState): readonly string[] {
    const r = s.redis
    const entry = entryVersion(r)
    const isAtRest =
      s.logged === o.txs &&
      s.shown === s.logged &&
      (!o.apart || s.invAt === s.logged) &&
      s.warmAt === s.logged &&
      s.forget === 'none' &&
      (o.truncate === 0 || s.truncate === 'done') &&
      s.readers[0].token === 0 &&
      s.readers[1].token === 0
    const isWrong = entry >= 0 && (entry !== s.logged || isGone(o, entry) !== (r.value === 'none'))
    const isStale = entry >= 0 && entry < Math.max(s.invMax, s.warmMax)
    const isBack = s.back || (entry >= 0 && entry < s.observed && isAtFloor(s))
    if (!(isAtRest && (isWrong || r.fence > 0)) && !isBack && !s.unmet && (s.lost || !isStale)) return NOTHING
    const properties: string[] = []
    if (isAtRest && isWrong) properties.push('P1')
    if (isBack) properties.push('P2')
    if (!s.lost && isStale) properties.push('P3')
    if (isAtRest && r.fence > 0) properties.push('F')
    if (s.unmet) properties.push('L7')
    return properties
  }

  const start: ModelState = {
    logged: 0,
    shown: 0,
    redis: EMPTY,
    saved: null,
    readers: [IDLE, IDLE],
    invAt: 0,
    warmAt: 0,
    invMax: 0,
    warmMax: 0,
    evict: o.evict,
    crash: atomic ? 0 : o.crash,
    rollback: o.rollback,
    gap: o.gap,
    gapAt: 0,
    truncate: 'none',
    forget: 'none',
    tokens: 0,
    observed: 0,
    floor: 0,
    floorLsn: 0,
    back: false,
    unmet: false,
    lost: false,
  }
  return { start, words: 5, pack, steps, broken }
}
