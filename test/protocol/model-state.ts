/** The row model's options and rules, its state, and how a state is packed. What it means: model.ts. */

/** Switched off one at a time. */
export type Rule =
  /** Entries remember what they were made from, and only older ones are replaced. */
  | 'version'
  /** An entry read from the database contains exactly the transactions visible in its snapshot. */
  | 'snap'
  /** What was read from the database is stored only under a lease taken before the read. */
  | 'lease'
  /** A lease remembers the changes that passed while it was held. */
  | 'passed'
  /** An answer from the database that is not stored ends the lease of whoever holds it. */
  | 'ends'
  /** The invalidator leaves a fence for a warmer that has not come by yet. */
  | 'fence'
  /** Fences are not evicted. */
  | 'keepfence'
  /** An answer from the database leaves a mark below which no change may create an entry. */
  | 'answered'
  /** A change is processed only once its transaction is visible to readers. */
  | 'visible'
  /** A consumer's position is stored in the same Redis call as the writes that it covers. */
  | 'atomic'
  /** A reader whose token the entry does not satisfy removes the entry when it answers something newer. */
  | 'bypass'
  /** Changes that share a call are one operation with the greatest of their LSNs. */
  | 'greatest'
  /** A forget begins only when all that will never be processed is visible to readers. */
  | 'gapvisible'
  /** A fill that began before a forget is refused, as the generation has been raised. */
  | 'generation'
  /** A forget removes fences too: those of the changes that were lost. */
  | 'sweepfences'
  /** A forget leaves the marks of answers, which may be ahead of where the consumers begin anew. */
  | 'keepmarks'
  /** After a forget the consumers' positions are stored last: before it is done, they say that it is still to do. */
  | 'repositionlast'
  /** A TRUNCATE leaves a view-wide fence, below which no change may create an entry. */
  | 'viewfence'
  /** A reader with a token accepts only an entry that satisfies it. */
  | 'token'
  /** A fence knows the position that it was raised at, and a warmer that passes this position removes it. */
  | 'fenceposition'
  /** After Redis fell back, readers accept only an entry that shows what the database did then. */
  | 'floor'

export interface ModelOptions {
  /** Transactions, 1 to 3. */
  readonly txs: number
  /** Readers at a time, 1 or 2. */
  readonly readers: number
  /** Reads of the database in all, up to 3. */
  readonly reads: number
  /** How many evictions may happen, anywhere, up to 3. */
  readonly evict: number
  /** How often a consumer may restart, up to 3. */
  readonly crash: number
  /** How often Redis may fall back to an older state of itself, 0 or 1. */
  readonly rollback: number
  /** How often the slot may be lost, 0 or 1. */
  readonly gap: number
  /** Transactions that delete the row; the others insert or update it. */
  readonly deletes: readonly number[]
  /** A transaction that truncates the table, or 0; it is among `deletes` too. Not together with `gap`. */
  readonly truncate: number
  /** LSN of each transaction's change, from transaction 1 on, 1 to 7. */
  readonly lsns: readonly number[]
  /** False: one process does the work of both consumers. */
  readonly apart: boolean
  /** `cached`: a change creates an entry only where the invalidator has just removed one. */
  readonly policy: 'all' | 'cached'
  readonly absent: boolean
  readonly tokens: boolean
  readonly coalesce: boolean
  /** The cruder rule in place of `passed`: a change ends the lease. Right too, but hot keys would never fill. */
  readonly changeEndsLease: boolean
  readonly off: readonly Rule[]
}

export const MODEL_DEFAULTS: ModelOptions = {
  txs: 3,
  readers: 2,
  reads: 3,
  evict: 2,
  crash: 1,
  rollback: 0,
  gap: 0,
  deletes: [],
  truncate: 0,
  lsns: [1, 2, 3],
  apart: true,
  policy: 'all',
  absent: false,
  tokens: false,
  coalesce: false,
  changeEndsLease: false,
  off: [],
}

/** What Redis holds of the key. 0 is "none" everywhere. */
export interface Redis {
  value: 'none' | 'event' | 'read'
  /** Version of the value, and for one from a change its LSN. */
  v: number
  lsn: number
  /** 1 + the version that was read as "no such row". */
  absent: number
  lease: number
  /** The newest transaction noted in the lease. */
  passed: number
  /** LSN of the fence, and the transaction that the invalidator had come to when it raised it. */
  fence: number
  fenceAt: number
  /** Whether the invalidator has removed a value since the fence was raised. */
  wasThere: boolean
  answered: number
  inv: number
  warm: number
  generation: number
  /** The view-wide fence of the TRUNCATE is there. */
  hasViewFence: boolean
}

export interface Reader {
  /** 0: this reader is idle. */
  token: number
  /** The newest version that anyone had been answered when this reader began. */
  seen: number
  /** The version that this reader's freshness token asks for, or 0. */
  need: number
  generation: number
  /** 1 + the version read; 0 before the read. */
  read: number
  /** WAL insert LSN after the read's snapshot. */
  bound: number
  /** It began because what was there lay below the floor: whatever is there when it settles counts as evicted. */
  isAboveEntry: boolean
}

export interface ModelState {
  /** Transactions in the WAL, and those visible to readers: a commit is logged first, visible a moment later. */
  logged: number
  shown: number
  redis: Redis
  saved: Redis | null
  readers: [Reader, Reader]
  /** Where the consumers are (as Redis says, if atomic), and the furthest that each has ever been. */
  invAt: number
  warmAt: number
  invMax: number
  warmMax: number
  evict: number
  crash: number
  rollback: number
  gap: number
  /** Of the lost slot: the last transaction lost; 0 if none was. And what the forget has still to do. */
  gapAt: number
  truncate: 'none' | 'swept-values' | 'raised' | 'done'
  forget: 'none' | 'raise' | 'sweep-values' | 'sweep-leases' | 'reposition'
  /** Tokens given so far. */
  tokens: number
  /** The newest version that anyone was answered; whether an answer went back; whether Redis ever lost writes. */
  observed: number
  /** What the database showed when Redis last fell back, and the greatest LSN that the WAL had then. */
  floor: number
  floorLsn: number
  back: boolean
  unmet: boolean
  lost: boolean
}

export const IDLE: Reader = { token: 0, seen: 0, need: 0, generation: 0, read: 0, bound: 0, isAboveEntry: false }
export const EMPTY: Redis = {
  value: 'none',
  v: 0,
  lsn: 0,
  absent: 0,
  lease: 0,
  passed: 0,
  fence: 0,
  fenceAt: 0,
  wasThere: false,
  answered: 0,
  inv: 0,
  warm: 0,
  generation: 0,
  hasViewFence: false,
}

/** The version that the entry stands for, "no such row" included; -1 if there is no entry. */
export function entryVersion(redis: Redis): number {
  return redis.value === 'none' ? redis.absent - 1 : redis.v
}

const KIND = { none: 0, event: 1, read: 2 } as const
const FORGET = { none: 0, raise: 1, 'sweep-values': 2, 'sweep-leases': 3, reposition: 4 } as const
const TRUNCATE = { none: 0, raised: 1, 'swept-values': 2, done: 3 } as const

function packRedis(r: Redis): number {
  const entry = (((KIND[r.value] << 2) | r.v) << 6) | (r.lsn << 3) | r.absent
  const beside = (((r.lease << 2) | r.passed) << 8) | (r.fence << 5) | (r.fenceAt << 3) | r.answered
  const positions = (r.inv << 3) | (r.warm << 1) | r.generation
  return ((((entry << 12) | beside) << 5) | positions) * 4 + (r.hasViewFence ? 2 : 0) + (r.wasThere ? 1 : 0)
}

function packReader(r: Reader): number {
  const begun = (((((r.token << 2) | r.seen) << 2) | r.need) << 2) | (r.generation << 1) | (r.isAboveEntry ? 1 : 0)
  return (begun << 6) | (r.read << 3) | r.bound
}

/** 2 bits for a transaction or a token, 3 for an LSN or "1 + a version". Readers are interchangeable: sorted. */
export function pack(s: ModelState, words: Uint32Array): void {
  const [a, b] = [packReader(s.readers[0]), packReader(s.readers[1])]
  words[0] = packRedis(s.redis)
  words[1] = s.saved ? packRedis(s.saved) : 0
  words[2] = (Math.max(a, b) << 14) | Math.min(a, b)
  words[3] =
    (s.logged << 23) |
    (s.shown << 21) |
    (s.invAt << 19) |
    (s.warmAt << 17) |
    (s.invMax << 15) |
    (s.warmMax << 13) |
    (s.observed << 11) |
    (s.tokens << 9) |
    (s.evict << 7) |
    (s.crash << 5) |
    (s.gapAt << 3) |
    FORGET[s.forget]
  words[4] =
    (s.floorLsn << 10) |
    (s.floor << 8) |
    (TRUNCATE[s.truncate] << 6) |
    (s.saved ? 32 : 0) |
    (s.rollback << 4) |
    (s.gap << 3) |
    (s.back ? 4 : 0) |
    (s.unmet ? 2 : 0) |
    (s.lost ? 1 : 0)
}
