import type { Planner } from '../cache/plan.ts'
import type { Batch, CacheProtocol, RefillKey } from '../cache/protocol.ts'
import type { Lsn } from '../change/lsn.ts'
import { comparePositions, type Position } from '../change/position.ts'
import type { StreamItem } from '../change/change-event.ts'
import type { DeadLetter } from '../log/dead-letters.ts'
import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { describeError, retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'
import { type ApplyQueue, createApplyQueue } from './apply-queue.ts'
import { type Unprocessed, unprocessed } from './batch.ts'
import { cutIntoCalls, deadLettersOf, endsBy, planItems, xidsOf } from './cache-batch.ts'
import { type ApplyRole, type CacheRole, roleAt } from './cache-roles.ts'
import { createFsyncWindow, type FsyncWindow } from './fsync-window.ts'
import { decideResume } from './resume.ts'
import { formatStoredPosition, positionWithin } from './stored-position.ts'
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
  readonly now?: () => number
}

export interface Applied {
  /** The cache has everything that commits before. */
  readonly lsn: Lsn
  /** As Redis holds them now; null for the consumer that this is not. */
  readonly positions: { readonly invalidator: string | null; readonly warmer: string | null }
  /** Of the newest transaction in the call; null if there was none. */
  readonly commitTimeMicros: bigint | null
}

export interface CacheConsumerOptions {
  /** Acks stay this far behind, as Redis may lose it in a crash. Default 2,000 ms: `appendfsync everysec` and a margin. */
  readonly fsyncWindowMs?: number
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
  const now = deps.now ?? Date.now
  const fsyncWindowMs = options.fsyncWindowMs ?? 2_000
  const changesPerCall = options.changesPerCall ?? 250

  let window: FsyncWindow = createFsyncWindow({ windowMs: fsyncWindowMs, now })
  let applied: Position | null = null
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

  /** Where each consumer stands; what cannot be trusted is forgotten first (L2). */
  async function resume(context: StreamContext, signal: AbortSignal): Promise<Standing> {
    const stored = await protocol.positions()
    const texts = { invalidator: stored.invalidator, warmer: stored.warmer }
    const roles = rolesOf(role)
    const decided = roles.map((part) => {
      const text = part === 'invalidate' ? stored.invalidator : stored.warmer
      const within = positionWithin(context.history, text)
      const isHistoryNew = text !== null && within === undefined
      return { part, text, isHistoryNew, ...decideResume({ stored: within, resumeLsn: context.resumeLsn }) }
    })
    if (decided.some((decision) => decision.kind === 'forget')) {
      const isHistoryNew = decided.some((decision) => decision.isHistoryNew)
      const forgotten = await protocol.forget(deps.viewNames, { isHistoryNew, signal })
      log.info(
        { removedKeys: forgotten.removedKeys, isHistoryNew },
        'positions cannot be continued: the cache is forgotten',
      )
    }
    const at: Record<'invalidator' | 'warmer', Position> = {
      invalidator: { commitLsn: context.resumeLsn, ordinal: 0 },
      warmer: { commitLsn: context.resumeLsn, ordinal: 0 },
    }
    for (const { part, text, kind, from } of decided) {
      const who = part === 'invalidate' ? 'invalidator' : 'warmer'
      at[who] = from
      if (kind === 'continue') continue
      const to = formatStoredPosition(context.history, from)
      const outcome = await protocol.reposition(part, text, to)
      if (!outcome.ok) throw new TrackOpsError('POSITION_MISMATCH', `${part}: another process has moved the position`)
      texts[who] = to
    }
    return { at, texts }
  }

  /**
   * A Redis that lost its last writes shows it in its positions, and would show it only at the next change: on a quiet
   * database that may be long. So they are looked at by a timer too (L2).
   */
  async function watchPositions(context: StreamContext, signal: AbortSignal): Promise<void> {
    while (await pause(WATCH_MS, signal)) {
      const expected = applied
      const stored = await protocol.positions().catch(() => null)
      if (stored === null || expected === null) continue
      for (const part of rolesOf(role)) {
        const text = part === 'invalidate' ? stored.invalidator : stored.warmer
        const within = positionWithin(context.history, text)
        if (within === undefined || comparePositions(within, expected) < 0) {
          throw new TrackOpsError(
            'POSITION_MISMATCH',
            'Redis has lost writes: its position is behind what was applied',
            {
              details: { stored: text, applied: formatStoredPosition(context.history, expected) },
            },
          )
        }
      }
    }
  }

  async function applyCall(call: Call, standing: Standing, context: StreamContext, queue: ApplyQueue): Promise<void> {
    const { todo, part, signal } = call
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
        for (const { view, lsn } of plan.truncated) await protocol.truncate(view.name, lsn)
        for (const { view, reason: why } of plan.forgotten) {
          if (why === 'old-values-missing')
            log.warn({ view: view.name, reason: why }, 'a change does not say which keys it means')
          await protocol.forget([view.name], { signal })
        }
      })
    }
    const batch = batchFor(part, standing, formatStoredPosition(context.history, todo.to), plan.operations)
    if (part !== 'warm') standing.texts.invalidator = batch.to
    if (part !== 'invalidate') standing.texts.warmer = batch.to
    const commitTimeMicros = newestCommit(todo.items)
    await queue.add(
      batch,
      (refill) => {
        const done = (): void => {
          window.applied(todo.to.commitLsn)
          applied = todo.to
          processedCount += todo.changeCount
          deps.onApplied?.({ lsn: todo.to.commitLsn, positions: reachedBy(batch), commitTimeMicros })
        }
        done()
        if (refill.length > 0) call.refills.add(refill)
      },
      signal,
    )
  }

  return {
    name,

    async run(source, context, signal) {
      waiting(null)
      window = createFsyncWindow({ windowMs: fsyncWindowMs, now })
      applied = null
      const lost = new AbortController()
      const either = AbortSignal.any([signal, lost.signal])
      const queue = createApplyQueue({ protocol, log, onWaiting: waiting }, either)
      const refills = createRefills(deps.refill, either)
      let watching: Promise<void> | undefined
      try {
        const standing = await patiently('reading positions', signal, () => resume(context, signal))
        applied = behind(role, standing.at)
        window.applied(applied.commitLsn)
        deps.onApplied?.({ lsn: applied.commitLsn, positions: standing.texts, commitTimeMicros: null })
        watching = watchPositions(context, either).catch((error: unknown) => lost.abort(error))
        for (;;) {
          const items = await source.next({ changes: changesPerCall * 4 }, either)
          if (items === undefined) break
          for (const call of cutIntoCalls(items, changesPerCall)) {
            for (const { part, todo, reached } of stepsOf(call, role, standing.at)) {
              await applyCall({ todo, part, signal: either, refills }, standing, context, queue)
              if (part !== 'warm') standing.at.invalidator = reached
              if (part !== 'invalidate') standing.at.warmer = reached
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
        state = 'stopped'
        lost.abort()
        await watching
      }
    },

    durableLsn: (): Lsn | null => window.durableLsn(),

    status: () => ({
      name: role === 'together' ? 'cache-invalidator+cache-warmer' : role,
      group: role === 'together' ? Object.values(CONSUMER_GROUPS).slice(1).join('+') : CONSUMER_GROUPS[role],
      appliedPosition: applied,
      processedCount,
      state,
      reason,
    }),
  }
}

/** Also how long readers are kept from a Redis that came back and may have lost writes, beyond the repair itself. */
const WATCH_MS = 500

interface Standing {
  readonly at: Record<'invalidator' | 'warmer', Position>
  readonly texts: { invalidator: string | null; warmer: string | null }
}

interface Call {
  readonly todo: Unprocessed
  readonly part: ApplyRole
  readonly refills: Refills
  readonly signal: AbortSignal
}

function rolesOf(role: CacheRole): readonly ('invalidate' | 'warm')[] {
  if (role === 'cache-invalidator') return ['invalidate']
  return role === 'cache-warmer' ? ['warm'] : ['invalidate', 'warm']
}

function behind(role: CacheRole, at: Standing['at']): Position {
  const part = roleAt(role, at)
  return part === 'warm' ? at.warmer : at.invalidator
}

/**
 * What one cut of the stream means for a loop whose two positions may differ: first the one that is behind alone, up to the
 * other, then both together.
 */
export function* stepsOf(
  items: readonly StreamItem[],
  role: CacheRole,
  at: Standing['at'],
): Generator<{ readonly part: ApplyRole; readonly todo: Unprocessed; readonly reached: Position }> {
  const stepFor = (part: ApplyRole, slice: readonly StreamItem[]) => {
    const from = part === 'warm' ? at.warmer : at.invalidator
    const todo = unprocessed(slice, from)
    const isAnything = todo.changeCount > 0 || comparePositions(todo.to, from) > 0
    return isAnything ? [{ part, todo, reached: todo.to }] : []
  }
  let rest = items
  while (rest.length > 0) {
    const part = roleAt(role, at)
    if (role !== 'together' || part === 'both') {
      yield* stepFor(part, rest)
      return
    }
    const bound = part === 'warm' ? at.invalidator : at.warmer
    const across = rest.findIndex((item) => !endsBy(item, bound))
    if (across !== 0) {
      const count = across === -1 ? rest.length : across
      yield* stepFor(part, rest.slice(0, count))
      rest = rest.slice(count)
    } else {
      // The one ahead stopped within this transaction: each does what it has left of it.
      const other = part === 'warm' ? 'invalidate' : 'warm'
      yield* stepFor(part, rest.slice(0, 1))
      yield* stepFor(other, rest.slice(0, 1))
      rest = rest.slice(1)
    }
  }
}

function batchFor(part: ApplyRole, standing: Standing, to: string, operations: Batch['operations']): Batch {
  const { invalidator, warmer } = standing.texts
  if (part === 'invalidate') return { role: part, from: { invalidator }, to, operations }
  if (part === 'warm') return { role: part, from: { warmer }, to, operations }
  return { role: part, from: { invalidator, warmer }, to, operations }
}

function reachedBy(batch: Batch): Applied['positions'] {
  return {
    invalidator: batch.role === 'warm' ? null : batch.to,
    warmer: batch.role === 'invalidate' ? null : batch.to,
  }
}

function newestCommit(items: readonly StreamItem[]): bigint | null {
  const last = items.findLast((item) => item.kind === 'transaction')
  return last ? last.transaction.commitTimeMicros : null
}

function isForWholeStream(error: unknown): boolean {
  return error instanceof TrackOpsError && (error.code === 'POSITION_MISMATCH' || error.code === 'HISTORY_CHANGED')
}

/** Fills run beside the stream, a few at a time; the stream waits where they cannot keep up. */
interface Refills {
  add(keys: readonly RefillKey[]): void
  room(): Promise<void>
  idle(): Promise<void>
}

const MAX_WAITING_REFILL_KEYS = 5_000

function createRefills(refill: CacheConsumerDeps['refill'], signal: AbortSignal): Refills {
  let waitingKeys = 0
  let working: Promise<void> = Promise.resolve()
  return {
    add(keys) {
      waitingKeys += keys.length
      working = working.then(async () => {
        if (!signal.aborted) await refill(keys, signal)
        waitingKeys -= keys.length
      })
    },
    async room() {
      if (waitingKeys > MAX_WAITING_REFILL_KEYS) await working
    },
    idle: () => working,
  }
}
