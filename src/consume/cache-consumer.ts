import type { KeyOperation } from '../cache/key-operation.ts'
import type { Planner } from '../cache/plan.ts'
import type { Batch, CacheProtocol, RaisedGeneration, RefillKey, StoredPositions } from '../cache/protocol.ts'
import type { StreamItem } from '../change/change-event.ts'
import type { Lsn } from '../change/lsn.ts'
import type { DeadLetter } from '../log/dead-letters.ts'
import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { describeError, retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'
import { type ApplyQueue, createApplyQueue } from './apply-queue.ts'
import { cutIntoCalls, deadLettersOf, planItems, xidsOf } from './cache-batch.ts'
import { decideCacheResume, lostWrites } from './cache-resume.ts'
import type { ApplyRole, CacheRole } from './cache-roles.ts'
import { type CachePositions, type CacheStep, moved, slowest, stepsOf } from './cache-steps.ts'
import { createFsyncWindow, type FsyncWindow } from './fsync-window.ts'
import { createRefills, type Refills } from './refills.ts'
import { formatStoredPosition } from './stored-position.ts'
import { CONSUMER_GROUPS, type ConsumerStatus, type StreamConsumer, type StreamContext } from './stream-consumer.ts'

export interface CacheConsumerDeps {
  readonly role: CacheRole
  readonly protocol: CacheProtocol
  readonly planner: Planner
  readonly viewNames: readonly string[]
  /** Fills keys through leases; what fails is logged there, and the key stays absent. */
  readonly refill: (keys: readonly RefillKey[], signal: AbortSignal) => Promise<void>
  readonly setAside: (letters: readonly DeadLetter[]) => Promise<void>
  readonly log: Logger
  /** Called after each applied call. */
  readonly onApplied?: (applied: Applied) => void
  /** Called with what each call does to which keys, before it is applied. */
  readonly onOperations?: (operations: readonly KeyOperation[]) => void
  /** Milliseconds of a clock that never jumps. Default performance.now. */
  readonly now?: () => number
}

export interface Applied {
  /** The cache has everything that commits before. */
  readonly lsn: Lsn
  /** As Redis holds them now; null for the consumer that this is not. */
  readonly positions: StoredPositions
  /** Of the newest transaction in the call; null if there was none. */
  readonly commitTimeMicros: bigint | null
}

export interface CacheConsumerOptions {
  /** Acks stay this far behind, as Redis may lose it in a crash. Default 2,000 ms: `appendfsync everysec` and a margin. */
  readonly fsyncWindowMs?: number
  /**
   * The cache has consumers of other partitions too, whose fences are theirs: what is forgotten here are entries only.
   * Default false.
   */
  readonly isPartition?: boolean
  /** Changes in one atomic call, about. Default 250: some 1,000 keys, a few milliseconds of Redis. */
  readonly changesPerCall?: number
}

/**
 * The seed's DebeziumRedisCacheConsumer and DebeziumRedisCacheWarmer: apart, or as one, where one write serves both. What a
 * change does to a key is in PROTOCOL.md; this loop brings changes to it in order, once they are visible, and keeps the account
 * of positions.
 */
export function createCacheConsumer(deps: CacheConsumerDeps, options: CacheConsumerOptions = {}): StreamConsumer {
  const { role, protocol, planner } = deps
  const name = role === 'cache-invalidator' ? role : 'cache-warmer'
  const log = deps.log.child({ consumer: role === 'together' ? 'cache-invalidator+cache-warmer' : role })
  const now = deps.now ?? (() => performance.now())
  const fsyncWindowMs = options.fsyncWindowMs ?? 2_000
  const changesPerCall = options.changesPerCall ?? 250

  let window: FsyncWindow = createFsyncWindow({ windowMs: fsyncWindowMs, now })
  let applied: CachePositions | null = null
  let processedCount = 0
  let state: ConsumerStatus['state'] = 'stopped'
  let reason: string | null = null

  function waiting(why: string | null): void {
    state = why === null ? 'running' : 'waiting'
    reason = why
  }

  async function patiently<T>(doing: string, signal: AbortSignal, step: () => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        const result = await step()
        waiting(null)
        return result
      } catch (error) {
        const known = fromPostgres(error, doing)
        if (signal.aborted || retryOf(known) !== 'timed' || isForWholeStream(known)) throw known
        waiting(describeError(known))
        if (failures === 1) log.warn({ doing, reason }, 'waiting')
        await pause(backoffDelayMs(failures, { maxMs: 5_000 }), signal)
      }
    }
  }

  /**
   * Where each consumer stands; what cannot be trusted is forgotten first (L2). One consumer after the other: what the first has
   * raised in a new history must not fall to the second's forget.
   */
  async function resume(context: StreamContext, signal: AbortSignal): Promise<Standing> {
    return await context.inTurn(async () => {
      const stored = await protocol.positions()
      const { history, resumeLsn } = context
      const { forget, moves, at, texts } = decideCacheResume({
        role,
        stored,
        history,
        resumeLsn,
        endLsn: context.endLsn ?? null,
        beginLsn: context.beginLsn,
        isPartition: options.isPartition ?? false,
      })
      let raised: RaisedGeneration | undefined
      if (forget !== 'nothing') {
        // What committed before a new slot's first position comes by no event: a fill that does not see it yet would keep the old
        // state for good. So nothing is filled before readers see all of it: they trust no Redis without positions.
        if (context.visibleBefore) await context.visibility.waitForAll(context.visibleBefore, signal)
        const isHistoryNew = forget === 'history'
        const forgotten = await protocol.forget(deps.viewNames, { isHistoryNew, signal })
        const { removedKeys } = forgotten
        raised = forgotten.raised
        // Of a new partition there was nothing to forget, and there are many of them.
        if (removedKeys > 0 || isHistoryNew) {
          log.info({ removedKeys, isHistoryNew }, 'positions cannot be continued: the cache is forgotten')
        }
      }
      for (const { part, from, to } of moves) {
        const outcome = await protocol.reposition(part, from, to, raised)
        if (outcome.ok) continue
        const why = outcome.stored === from ? 'Redis has lost the forget' : 'another process has moved the position'
        throw new TrackOpsError('POSITION_MISMATCH', `${part}: ${why}`)
      }
      return { at, texts }
    })
  }

  /**
   * A Redis that lost its last writes shows it in its positions, and would show it only at the next change: on a quiet
   * database that may be long. So they are looked at by a timer too (L2).
   */
  async function watchPositions(context: StreamContext, signal: AbortSignal): Promise<void> {
    const { history } = context
    while (await pause(WATCH_MS, signal)) {
      // Before the question: what is applied while it is under way may not be in the answer.
      const expected = applied
      const stored = await protocol.positions().catch(() => null)
      if (stored === null || expected === null || signal.aborted) continue
      const part = lostWrites(role, { stored, applied: expected, history })
      if (part === null) continue
      const who = part === 'invalidate' ? 'invalidator' : 'warmer'
      throw new TrackOpsError('POSITION_MISMATCH', 'Redis has lost writes: its position is behind what was applied', {
        details: { part, stored: stored[who], applied: formatStoredPosition(history, expected[who]) },
      })
    }
  }

  function noteApplied(step: CacheStep, positions: StoredPositions, commitTimeMicros: bigint | null): void {
    if (applied === null) return
    applied = moved(applied, step)
    const position = slowest(role, applied)
    window.applied(position.commitLsn)
    processedCount += step.todo.changeCount
    deps.onApplied?.({ lsn: position.commitLsn, positions, commitTimeMicros })
  }

  async function applyCall(step: CacheStep, standing: Standing, pass: Pass): Promise<void> {
    const { part, todo } = step
    const { context, queue, refills, signal } = pass
    const xids = await patiently('asking which transactions are visible', signal, () =>
      context.visibility.wait(xidsOf(todo.items), signal),
    )
    const plan = planner.plan(planItems(todo.items, xids))
    if (plan.failed.length > 0) {
      const letters = deadLettersOf(plan.failed, name)
      await patiently('setting a change aside', signal, () => deps.setAside(letters))
      for (const { subject: _subject, ...letter } of letters) log.error(letter, 'change set aside')
    }
    if (plan.truncated.length > 0 || plan.forgotten.length > 0) {
      await queue.drain()
      await patiently('forgetting a view', signal, async () => {
        for (const { view, lsn, xid } of plan.truncated) await protocol.truncate(view.name, lsn, xid)
        for (const { view, reason: why, lsn } of plan.forgotten) {
          if (why === 'old-values-missing')
            log.warn({ view: view.name, reason: why }, 'a change does not say which keys it means')
          // With the LSN: apart, a warmer that lags must not bring back what this change made stale.
          await protocol.truncate(view.name, lsn)
        }
      })
    }
    const to = formatStoredPosition(context.history, todo.to)
    const batch = batchFor(part, standing.texts, to, plan.operations)
    standing.texts = {
      invalidator: part === 'warm' ? standing.texts.invalidator : to,
      warmer: part === 'invalidate' ? standing.texts.warmer : to,
    }
    const commitTimeMicros = newestCommit(todo.items)
    deps.onOperations?.(plan.operations)
    await queue.add(batch, (refill) => {
      noteApplied(step, onlyOf(part, { invalidator: to, warmer: to }), commitTimeMicros)
      refills.add(refill)
    })
  }

  return {
    name,

    async run(source, context, signal) {
      waiting(null)
      // What an earlier pass applied may belong to another history: it must not be acked in this one.
      window = createFsyncWindow({ windowMs: fsyncWindowMs, now })
      applied = null
      const lost = new AbortController()
      const either = AbortSignal.any([signal, lost.signal])
      const onFailed = (error: unknown): void => lost.abort(error)
      const queue = createApplyQueue({ protocol, log, onWaiting: waiting, onFailed }, either)
      const refills = createRefills({ refill: deps.refill, log }, either)
      const pass: Pass = { context, queue, refills, signal: either }
      let watching: Promise<void> | undefined
      try {
        const standing = await patiently('reading positions', signal, () => resume(context, signal))
        applied = standing.at
        const lsn = slowest(role, applied).commitLsn
        window.applied(lsn)
        source.seek?.(slowest(role, applied))
        deps.onApplied?.({ lsn, positions: onlyOf(PART_OF[role], standing.texts), commitTimeMicros: null })
        watching = watchPositions(context, either).catch(onFailed)
        for (;;) {
          const items = await source.next({ changes: changesPerCall * 4 }, either)
          if (items === undefined) break
          for (const call of cutIntoCalls(items, changesPerCall)) {
            for (const step of stepsOf(call, role, standing)) {
              await applyCall(step, standing, pass)
              standing.at = moved(standing.at, step)
              await refills.room()
            }
          }
        }
        await queue.drain()
        await refills.idle()
        if (lost.signal.aborted && !signal.aborted) throw lost.signal.reason
      } catch (error) {
        throw lost.signal.aborted && !signal.aborted ? lost.signal.reason : error
      } finally {
        lost.abort()
        // What is still on its way must not report into the next run.
        await queue.idle()
        await refills.idle()
        await watching
        state = 'stopped'
      }
    },

    durableLsn: (): Lsn | null => window.durableLsn(),

    status: () => ({
      name: role === 'together' ? 'cache-invalidator+cache-warmer' : role,
      group: role === 'together' ? Object.values(CONSUMER_GROUPS).slice(1).join('+') : CONSUMER_GROUPS[role],
      appliedPosition: applied && slowest(role, applied),
      processedCount,
      state,
      reason,
    }),
  }
}

/** Also how long readers are kept from a Redis that came back and may have lost writes, beyond the repair itself. */
const WATCH_MS = 500

/** Where the next call continues: ahead of what is applied while calls are on their way. */
interface Standing {
  at: CachePositions
  texts: StoredPositions
}

/** What belongs to one run. */
interface Pass {
  readonly context: StreamContext
  readonly queue: ApplyQueue
  readonly refills: Refills
  readonly signal: AbortSignal
}

function batchFor(part: ApplyRole, from: StoredPositions, to: string, operations: Batch['operations']): Batch {
  const { invalidator, warmer } = from
  if (part === 'invalidate') return { role: part, from: { invalidator }, to, operations }
  if (part === 'warm') return { role: part, from: { warmer }, to, operations }
  return { role: part, from: { invalidator, warmer }, to, operations }
}

const PART_OF = { 'cache-invalidator': 'invalidate', 'cache-warmer': 'warm', together: 'both' } as const

function onlyOf(part: ApplyRole, { invalidator, warmer }: StoredPositions): StoredPositions {
  return {
    invalidator: part === 'warm' ? null : invalidator,
    warmer: part === 'invalidate' ? null : warmer,
  }
}

function newestCommit(items: readonly StreamItem[]): bigint | null {
  const last = items.findLast((item) => item.kind === 'transaction')
  return last ? last.transaction.commitTimeMicros : null
}

function isForWholeStream(error: unknown): boolean {
  return error instanceof TrackOpsError && (error.code === 'POSITION_MISMATCH' || error.code === 'HISTORY_CHANGED')
}
