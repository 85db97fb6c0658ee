import type { Sql, TransactionSql } from 'postgres'

import { type Lsn } from '../change/lsn.ts'
import { comparePositions, type Position } from '../change/position.ts'
import type { DomainEvent } from '../log/domain-event.ts'
import { insertDomainEvents } from '../log/domain-event-table.ts'
import { type DeadLetter, insertDeadLetters } from '../log/dead-letters.ts'
import { moveLogPosition, readLogPosition } from '../log/positions.ts'
import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { describeError, retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'
import { unprocessed } from './batch.ts'
import { deriveEvents } from './derive-events.ts'
import type { EventDefinition } from './event-definition.ts'
import { createHorizon, type Horizon } from './horizon.ts'
import { decideResume } from './resume.ts'
import { formatStoredPosition, positionWithin } from './stored-position.ts'
import { CONSUMER_GROUPS, type StreamConsumer, type StreamContext } from './stream-consumer.ts'

export interface OrderEventConsumerDeps {
  readonly sql: Sql
  readonly log: Logger
  readonly definitions: readonly EventDefinition[]
  /** Publishes what rows that changed unseen must have meant (see missed-events.ts). */
  readonly recoverMissed: (horizon: bigint, signal: AbortSignal) => Promise<void>
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
  const { sql, definitions } = deps
  const log = deps.log.child({ consumer: NAME })
  const now = deps.now ?? Date.now
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

  async function store(context: StreamContext, to: Position, horizon: Horizon, write: Written): Promise<void> {
    const text = formatStoredPosition(context.history, to)
    const isHeartbeat = write.events.length === 0 && write.deadLetters.length === 0
    if (stored?.text === text && isHeartbeat) return
    await sql.begin(async (tx) => {
      // Nothing is lost with a position that a crash takes back, and it must not wait for a standby that is away.
      if (isHeartbeat) await tx`set local synchronous_commit = local`
      const moved = await moveLogPosition(tx, NAME, { from: stored?.text ?? null, to: text, horizon: horizon.xid() })
      if (!moved) {
        throw new TrackOpsError('POSITION_MISMATCH', `${NAME}: another process has moved the position`)
      }
      await publish(tx, write.events)
      await insertDeadLetters(tx, write.deadLetters)
    })
    stored = { text, lsn: to.commitLsn, atMs: now() }
  }

  async function publish(tx: TransactionSql, events: readonly DomainEvent[]): Promise<void> {
    await insertDomainEvents(tx, await enriched(tx, events, definitions))
  }

  async function resume(context: StreamContext, signal: AbortSignal): Promise<{ from: Position; horizon: Horizon }> {
    return await patiently('reading the position', signal, async () => {
      const found = await readLogPosition(sql, NAME)
      const within = positionWithin(context.history, found?.position ?? null)
      const decided = decideResume({ stored: within, resumeLsn: context.resumeLsn })
      stored = found ? { text: found.position, lsn: decided.from.commitLsn, atMs: 0 } : null
      if (decided.kind === 'forget' && found) {
        log.warn(
          { horizon: found.horizon?.toString() ?? null },
          'changes were missed: looking for rows without their events',
        )
        if (found.horizon !== null) await deps.recoverMissed(found.horizon, signal)
      }
      const horizon = createHorizon(found?.horizon ?? null)
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
        for (;;) {
          const items = await source.next({ changes: batchChanges }, signal)
          if (items === undefined) return
          const todo = unprocessed(items, position)
          const derived = deriveEvents(todo.items, definitions, NAME)
          const isEmpty = derived.events.length === 0 && derived.deadLetters.length === 0
          await patiently('publishing domain events', signal, async () => {
            await context.visibility.wait([...derived.xids], signal)
            horizon.reached(todo.to.commitLsn, context.visibility.newest())
            const isDue = now() - (stored?.atMs ?? 0) >= idleStoreMs
            if (!isEmpty || isDue) await store(context, todo.to, horizon, derived)
          })
          for (const letter of derived.deadLetters) log.error({ ...letter, subject: undefined }, 'change set aside')
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

interface Written {
  readonly events: readonly DomainEvent[]
  readonly deadLetters: readonly DeadLetter[]
}

const NOTHING: Written = { events: [], deadLetters: [] }

/** Each definition adds to its own topic's events what only the database knows; the order of the events stays. */
async function enriched(
  tx: TransactionSql,
  events: readonly DomainEvent[],
  definitions: readonly EventDefinition[],
): Promise<readonly DomainEvent[]> {
  let result = events
  for (const definition of definitions) {
    if (!definition.enrich) continue
    const mine = result.filter((event) => event.topic === definition.topic)
    if (mine.length === 0) continue
    const added = new Map((await definition.enrich(tx, mine)).map((event) => [event.eventId, event]))
    result = result.map((event) => added.get(event.eventId) ?? event)
  }
  return result
}

/** Waiting can't help where the position or the history is another: the stream begins anew. */
function isForWholeStream(error: unknown): boolean {
  return error instanceof TrackOpsError && (error.code === 'POSITION_MISMATCH' || error.code === 'HISTORY_CHANGED')
}
