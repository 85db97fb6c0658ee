import { type Lsn } from '../change/lsn.ts'
import { comparePositions, type Position } from '../change/position.ts'
import type { DeadLetter } from '../log/dead-letters.ts'
import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { describeError, retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'
import { unprocessed } from './batch.ts'
import { deriveEvents } from './derive-events.ts'
import type { EventDefinition } from './event-definition.ts'
import type { Derived, EventStore } from './event-store.ts'
import { createHorizon, type Horizon } from './horizon.ts'
import { decideResume } from './resume.ts'
import { formatStoredPosition, positionWithin } from './stored-position.ts'
import { CONSUMER_GROUPS, type StreamConsumer, type StreamContext } from './stream-consumer.ts'

export interface OrderEventConsumerDeps {
  readonly store: EventStore
  readonly log: Logger
  readonly definitions: readonly EventDefinition[]
  /** Publishes what rows that changed unseen must have meant (see missed-events.ts). */
  readonly recoverMissed: (horizon: bigint, signal: AbortSignal) => Promise<void>
  /**
   * Below which transaction id all had ended before the slot was first made: what counts until more is known. Without it, a slot that is
   * lost within the first seconds takes its events along.
   */
  readonly firstHorizon?: bigint
  /** Milliseconds of a clock that never jumps. Default performance.now. */
  readonly now?: () => number
}

export interface OrderEventConsumerOptions {
  /** A position that moved without events is stored after this time, so that an idle slot can move. Default 10 s. */
  readonly idleStoreMs?: number
  readonly batchChanges?: number
}

const NAME = 'order-event-consumer'

/**
 * The seed's DebeziumOrderEventConsumer: derives domain events from changes, and from nothing else. Events and the position
 * that they come from are written in one transaction, so an event is published once; that its id derives from what
 * happened makes it hold even when the position is lost.
 */
export function createOrderEventConsumer(
  deps: OrderEventConsumerDeps,
  options: OrderEventConsumerOptions = {},
): StreamConsumer {
  const { definitions } = deps
  const { keepsHorizon } = deps.store
  const log = deps.log.child({ consumer: NAME })
  const now = deps.now ?? (() => performance.now())
  const idleStoreMs = options.idleStoreMs ?? 10_000
  const batchChanges = options.batchChanges ?? 5_000

  let position: Position | null = null
  let stored: { readonly text: string; readonly lsn: Lsn; readonly atMs: number } | null = null
  let processedCount = 0
  let state: 'stopped' | 'running' | 'waiting' = 'stopped'
  let reason: string | null = null

  /** Tries a step until it works: a database that is down is waited out, the stream waits with it. */
  async function patiently<T>(doing: string, signal: AbortSignal, step: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        const result = await step()
        state = 'running'
        reason = null
        return result
      } catch (error) {
        const known = fromPostgres(error, doing)
        if (signal.aborted || retryOf(known) === 'never' || isForWholeStream(known)) throw known
        state = 'waiting'
        reason = describeError(known)
        log.warn({ doing, reason }, 'waiting')
        await pause(backoffDelayMs(failures), signal)
      }
    }
  }

  /** Gives what was set aside. */
  async function store(
    context: StreamContext,
    to: Position,
    horizon: Horizon,
    derived: Derived,
  ): Promise<readonly DeadLetter[]> {
    const text = formatStoredPosition(context.history, to)
    const isHeartbeat = derived.events.length === 0 && derived.deadLetters.length === 0
    if (stored?.text === text && isHeartbeat) return []
    const setAside = await deps.store.write({ from: stored?.text ?? null, to: text, horizon: horizon.xid() }, derived)
    stored = { text, lsn: to.commitLsn, atMs: now() }
    return setAside
  }

  async function resume(context: StreamContext, signal: AbortSignal): Promise<{ from: Position; horizon: Horizon }> {
    return await patiently('reading the position', signal, async () => {
      const found = await deps.store.read()
      const within = positionWithin(context.history, found?.position ?? null)
      const decided = decideResume({
        stored: within,
        resumeLsn: context.resumeLsn,
        endLsn: context.endLsn ?? null,
        beginLsn: context.beginLsn,
      })
      stored = found ? { text: found.position, lsn: decided.from.commitLsn, atMs: -Infinity } : null
      if (decided.kind === 'forget' && found) {
        log.warn(
          { horizon: found.horizon?.toString() ?? null },
          'changes were missed: looking for rows without their events',
        )
        await deps.store.beginHistory()
        if (found.horizon !== null) await deps.recoverMissed(found.horizon, signal)
      }
      const horizon = createHorizon(found?.horizon ?? deps.firstHorizon ?? null)
      // Without it a database on which no event ever happens would leave nothing to go by after a lost slot.
      if (keepsHorizon) horizon.reached(decided.from.commitLsn, await context.visibility.look())
      await store(context, decided.from, horizon, NOTHING)
      return { from: decided.from, horizon }
    })
  }

  return {
    name: NAME,

    async run(source, context, signal) {
      state = 'running'
      // What an earlier pass stored may belong to another history: it must not be acked in this one.
      stored = null
      position = null
      try {
        const { from, horizon } = await resume(context, signal)
        position = from
        source.seek?.(from)
        for (;;) {
          const items = await source.next({ changes: batchChanges }, signal)
          if (items === undefined) return
          const todo = unprocessed(items, position)
          const derived = deriveEvents(todo.items, definitions, NAME)
          const isEmpty = derived.events.length === 0 && derived.deadLetters.length === 0
          const setAside = await patiently('publishing domain events', signal, async () => {
            const isDue = now() - (stored?.atMs ?? -Infinity) >= idleStoreMs
            await context.visibility.wait([...derived.xids], signal)
            if (isDue && keepsHorizon) await context.visibility.look()
            if (keepsHorizon) horizon.reached(todo.to.commitLsn, context.visibility.newest())
            return isEmpty && !isDue ? [] : await store(context, todo.to, horizon, derived)
          })
          for (const letter of setAside) log.error({ ...letter, subject: undefined }, 'change set aside')
          if (comparePositions(todo.to, position) > 0) position = todo.to
          processedCount += todo.changeCount
        }
      } finally {
        state = 'stopped'
      }
    },

    durableLsn: () => stored?.lsn ?? null,

    status: () => ({
      name: NAME,
      group: CONSUMER_GROUPS[NAME],
      appliedPosition: position,
      processedCount,
      state,
      reason,
    }),
  }
}

const NOTHING: Derived = { events: [], deadLetters: [] }

/** Waiting can't help where the position or the history is another: the stream begins anew. */
function isForWholeStream(error: unknown): boolean {
  return error instanceof TrackOpsError && (error.code === 'POSITION_MISMATCH' || error.code === 'HISTORY_CHANGED')
}
