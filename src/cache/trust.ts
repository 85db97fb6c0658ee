import type { Logger } from '../runtime/logger.ts'
import type { RedisConnection } from './redis-call.ts'

/**
 * Whether readers may believe Redis (L2): only while the positions that it holds are not behind the greatest that were ever seen. A
 * Redis that fell back to an older state of itself, or came back empty, is not asked until its consumers have caught up. Doubt
 * begins the moment that the connection is lost, and ends with a check that passed; a timer looks in between.
 */
export interface Trust {
  isTrusted(): boolean
  /** Another number: there has been doubt in between, and what Redis said may be from before or after. */
  doubts(): number
  /** Resolves when the first check is over, or `timeoutMs` later. */
  ready(timeoutMs: number): Promise<void>
  /** Something failed: no more trust until a check passes. */
  doubt(): void
  check(): Promise<boolean>
  /**
   * A consumer in this process tells what it has applied, or where it begins anew: a fallback is noticed even before the timer saw that
   * position, or where it would never see it.
   */
  applied(positions: readonly (string | null)[]): void
  close(): void
}

export interface TrustDeps {
  readonly redis: RedisConnection
  readonly look: () => Promise<Look>
  /** Done before a check may pass; false or an error: not now. Writes may be lost although no position is behind. */
  readonly beforeTrust: (hasLostWrites: boolean) => Promise<boolean>
  readonly log: Logger
}

export interface Look {
  /** The positions that Redis holds, always in the same order. */
  readonly positions: readonly (string | null)[]
  /** Which Redis this is: another one, or the same after a restart, has another text. null: it does not say. */
  readonly instance: string | null
}

export interface TrustOptions {
  /** Default 1,000 ms: so long a fallback without a lost connection may go unnoticed. */
  readonly intervalMs?: number
}

export function createTrust(deps: TrustDeps, options: TrustOptions = {}): Trust {
  const { redis, log } = deps
  const seen = createSeenPositions()
  let isTrusted = false
  let doubts = 0
  let known: string | null | undefined
  let isConnectionNew = false
  let hasLostWrites = false
  let checking: Promise<boolean> | undefined

  function doubt(): void {
    doubts++
    if (isTrusted) log.warn({}, 'readers ask the database until Redis has been checked')
    isTrusted = false
  }

  function doubtConnection(): void {
    isConnectionNew = true
    doubt()
  }

  async function runCheck(): Promise<boolean> {
    let before = doubts
    try {
      // What a consumer applies while the question is on its way is not in the answer: that is no loss.
      const greatest = seen.greatest()
      const { positions, instance } = await deps.look()
      const isSame = instance === null ? !isConnectionNew : instance === known
      const verdict = seen.judge(positions, greatest)
      if (known !== undefined && (!isSame || verdict === 'behind')) hasLostWrites = true
      known = instance
      isConnectionNew = false
      if (isTrusted && (hasLostWrites || verdict !== 'current')) {
        log.warn({ verdict }, 'Redis has lost writes: readers ask the database until its consumers have caught up')
        isTrusted = false
        before = ++doubts
      }
      if (verdict !== 'current' || isTrusted) return isTrusted
      // A doubt that came up meanwhile is about a later moment than what was read.
      if ((await deps.beforeTrust(hasLostWrites)) && before === doubts && redis.isReady) {
        log.info({}, 'readers use Redis')
        isTrusted = true
        hasLostWrites = false
      }
    } catch {
      isTrusted = false
    }
    return isTrusted
  }

  function check(): Promise<boolean> {
    checking ??= runCheck().finally(() => {
      checking = undefined
    })
    return checking
  }

  const recheck = (): void => void check()
  redis.on('ready', recheck)
  redis.on('error', doubtConnection)
  redis.on('end', doubtConnection)
  redis.on('reconnecting', doubtConnection)
  const timer = setInterval(recheck, options.intervalMs ?? 1000)
  timer.unref()
  const first = check()

  return {
    isTrusted: () => isTrusted && redis.isReady,
    doubts: () => doubts,
    async ready(timeoutMs) {
      let bound: NodeJS.Timeout | undefined
      await Promise.race([first, new Promise((resolve) => (bound = setTimeout(resolve, timeoutMs)))])
      clearTimeout(bound)
    },
    doubt,
    check,
    applied(positions) {
      // It has found that Redis lost writes, and may have brought up the positions again before the timer looks at them.
      if (seen.hasBehind(positions)) {
        hasLostWrites = true
        doubt()
      }
      seen.note(positions)
      // Consumers in this process have caught up just now: no need to wait for the timer.
      if (!isTrusted && redis.isReady) recheck()
    },
    close() {
      clearInterval(timer)
      redis.off('ready', recheck)
      redis.off('error', doubtConnection)
      redis.off('end', doubtConnection)
      redis.off('reconnecting', doubtConnection)
    },
  }
}

export interface SeenPositions {
  /** unknown: no consumer has ever written to this Redis, so nobody would delete what goes stale there. */
  judge(positions: readonly (string | null)[], known?: readonly (string | null)[]): 'current' | 'behind' | 'unknown'
  /** One that is told (not null) is behind. */
  hasBehind(positions: readonly (string | null)[]): boolean
  /** As of now: what a question that is asked from here on will be judged by. */
  greatest(): readonly (string | null)[]
  note(positions: readonly (string | null)[]): void
}

const HISTORIES_KEPT = 100
const POSITION = /^[^|]+\|[0-9A-F]+(?:\/\d+)?$/

/** Positions are `<history>|<text that sorts>`. Histories do not compare: one that another has followed is behind. */
export function createSeenPositions(): SeenPositions {
  const greatest: (string | null)[] = []
  const past = new Set<string>()

  function isBehind(position: string | null, place: number, all: readonly (string | null)[] = greatest): boolean {
    const known = all[place] ?? null
    if (known === null) return false
    if (position === null) return true
    return historyOf(position) === historyOf(known) ? position < known : past.has(historyOf(position))
  }

  function note(positions: readonly (string | null)[]): void {
    for (const [place, position] of positions.entries()) {
      const known = greatest[place] ?? null
      if (position === null || isBehind(position, place)) continue
      if (known !== null && historyOf(known) !== historyOf(position)) {
        past.add(historyOf(known))
        for (const oldest of past) if (past.size > HISTORIES_KEPT) past.delete(oldest)
      }
      greatest[place] = position
    }
  }

  return {
    judge(positions, known = greatest) {
      // A stranger's text: taken for a history it would make ours one of the past, and no reader would ask this Redis again.
      if (positions.some((position) => position !== null && !POSITION.test(position))) return 'behind'
      if (positions.some((position, place) => isBehind(position, place, known))) return 'behind'
      note(positions)
      return positions.some((position) => position !== null) ? 'current' : 'unknown'
    },
    hasBehind: (positions) => positions.some((position, place) => position !== null && isBehind(position, place)),
    greatest: () => [...greatest],
    note,
  }
}

function historyOf(position: string): string {
  return position.slice(0, position.lastIndexOf('|'))
}
