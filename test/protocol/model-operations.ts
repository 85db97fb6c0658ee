/** What each party does to Redis in one atomic call, in the row model: the counterpart of src/cache/lua. */
import { entryVersion, IDLE, type ModelOptions, type ModelState, type Redis, type Rule } from './model-state.ts'

export interface ModelOperations {
  /** The changes up to this transaction, in one call. */
  readonly invalidate: (state: ModelState, to: number) => void
  readonly warm: (state: ModelState, to: number) => void
  /** The reader has read the database: store, and answer. */
  readonly settle: (state: ModelState, at: 0 | 1) => void
  /** May readers be answered with what is at the key? Redis fell back, and what it lost may have been answered before. */
  readonly isAtFloor: (state: ModelState) => boolean
  readonly dropEntry: (redis: Redis) => void
  readonly dropLease: (redis: Redis) => void
  readonly dropFence: (redis: Redis) => void
}

export function lsnOf(o: ModelOptions, tx: number): number {
  return tx === 0 ? 0 : (o.lsns[tx - 1] ?? tx)
}

export function isGone(o: ModelOptions, version: number): boolean {
  return version === 0 || o.deletes.includes(version)
}

export function createOperations(o: ModelOptions): ModelOperations {
  const has = (rule: Rule) => !o.off.includes(rule)
  const [version, snap, lease, passed] = [has('version'), has('snap'), has('lease'), has('passed')]
  const [ends, fence, answered, atomic] = [has('ends'), has('fence'), has('answered'), has('atomic')]
  const [bypass, greatest, generation] = [has('bypass'), has('greatest'), has('generation')]
  const [fencePosition, viewFence, tokenCheck] = [has('fenceposition'), has('viewfence'), has('token')]
  const floor = has('floor')

  function isOlder(r: Redis, tx: number, lsn: number): boolean {
    if (!version) return true
    if (r.value === 'event') return r.lsn < lsn
    return snap ? tx > entryVersion(r) : true // a read of version v contains every transaction up to v, and no later one
  }

  function note(r: Redis, tx: number): void {
    if (r.lease === 0) return
    if (o.changeEndsLease) dropLease(r)
    else if (passed) r.passed = Math.max(r.passed, tx)
  }

  function dropLease(r: Redis): void {
    r.lease = 0
    r.passed = 0
  }

  function dropFence(r: Redis): void {
    r.fence = r.fenceAt = 0
    r.wasThere = false
  }

  function dropEntry(r: Redis): void {
    r.value = 'none'
    r.v = r.lsn = r.absent = 0
  }

  /** The LSN of one call's operation on the key: the transactions after `from`, up to `to`. */
  function lsnOfCall(from: number, to: number): number {
    if (!greatest) return lsnOf(o, to)
    let lsn = 0
    for (let tx = from + 1; tx <= to; tx++) lsn = Math.max(lsn, lsnOf(o, tx))
    return lsn
  }

  function invalidate(s: ModelState, to: number): void {
    const r = s.redis
    const lsn = lsnOfCall(s.invAt, to)
    s.invAt = to
    if (to === o.truncate) {
      r.inv = to
      return
    }
    s.invMax = Math.max(s.invMax, to)
    const isOutdated = entryVersion(r) >= 0 && isOlder(r, to, lsn)
    const isRemoved = isOutdated && r.value !== 'none'
    if (isOutdated) dropEntry(r)
    note(r, to)
    if (fence && r.warm < to && (o.policy === 'all' || isRemoved || r.fence > 0)) {
      r.fence = Math.max(r.fence, lsn) // the warmer has not come by yet
      r.fenceAt = Math.max(r.fenceAt, to)
      if (o.policy === 'cached') r.wasThere ||= isRemoved
    }
    if (atomic) r.inv = to
  }

  function warm(s: ModelState, to: number): void {
    const r = s.redis
    const lsn = lsnOfCall(s.warmAt, to)
    s.warmAt = to
    if (to === o.truncate) {
      r.warm = to
      return
    }
    s.warmMax = Math.max(s.warmMax, to)
    note(r, to)
    const isPresent = entryVersion(r) >= 0
    const isFencePassed = r.fence <= lsn || (fencePosition && r.fenceAt <= to)
    const isBlocked =
      !isFencePassed || (answered && r.answered > lsn) || (viewFence && r.hasViewFence && lsnOf(o, o.truncate) > lsn)
    const mayCreate = !isBlocked && (o.policy === 'all' || (isFencePassed && r.wasThere))
    // An entry that says "no such row" is no value to replace: it goes, and a value is created if one may be.
    const mayWrite = isPresent ? isOlder(r, to, lsn) && (r.value !== 'none' || mayCreate) : mayCreate
    if (isPresent && isOlder(r, to, lsn)) dropEntry(r)
    if (mayWrite && !isGone(o, to)) {
      r.value = 'event'
      r.v = to
      r.lsn = lsn
    }
    if (isFencePassed) dropFence(r)
    if (atomic) r.warm = to
  }

  function isAtFloor({ redis: r, floor: shown, floorLsn }: ModelState): boolean {
    return !floor || (r.value === 'event' ? r.lsn > floorLsn : entryVersion(r) >= shown)
  }

  /** The reader has read the database: store, and answer. */
  function settle(s: ModelState, at: 0 | 1): void {
    const r = s.redis
    const reader = s.readers[at]
    const read = reader.read - 1
    const entry = entryVersion(r)
    const isEntryAnswer = !reader.isAboveEntry && entry >= (tokenCheck ? reader.need : 0)
    if (!isEntryAnswer) {
      if (entry >= 0 && bypass) dropEntry(r)
      const isCurrent = !generation || reader.generation === r.generation
      const mayStore = (!lease || (r.lease === reader.token && r.passed <= read)) && isCurrent && entryVersion(r) < 0
      if (mayStore && !isGone(o, read)) {
        r.value = 'read'
        r.v = read
      } else if (mayStore && o.absent) r.absent = read + 1
      if (answered) r.answered = Math.max(r.answered, reader.bound)
    }
    // Below the floor it is no answer: the reader begins anew.
    if (!isEntryAnswer || isAtFloor(s)) {
      const answer = isEntryAnswer ? entry : read
      if (answer < reader.seen) s.back = true
      if (answer < reader.need) s.unmet = true
      s.observed = Math.max(s.observed, answer)
    }
    if (r.lease === reader.token || (ends && entryVersion(r) < 0)) dropLease(r)
    s.readers[at] = IDLE
  }
  return { invalidate, warm, settle, isAtFloor, dropEntry, dropLease, dropFence }
}
