import type { Sql } from 'postgres'

import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { fromPostgres, sqlStateOf } from '../runtime/postgres-errors.ts'
import { type DeadLetter, insertDeadLetters, markReplayed, requestedReplays } from './dead-letters.ts'
import type { ConsumeOptions, DomainEvent } from './domain-event.ts'
import { claimEvent, INBOX_DDL, moveInboxPosition, pruneInbox } from './inbox.ts'
import { OUTBOX_DDL, pruneOutbox } from './outbox.ts'

/** An event as a log holds it. */
export interface LoggedEvent extends DomainEvent {
  /** Where a reader of the log stands that has handled it. */
  readonly seq: bigint
  /** Names it in a dead letter. */
  readonly place: string
}

export interface EventHandlingOptions {
  /** See TableEventBusOptions. */
  readonly maxAttempts: number
  readonly retentionSeconds: number
}

/** Effects of domain events, whatever log they come from: each happens once, and one that fails for good harms nobody else. */
export interface EventHandling {
  /** Tables that a service's database needs, and now and then what is too old in them removed. */
  prepare(store: Sql): Promise<void>
  /**
   * Handles events of one log in order, and moves the consumer's position in it to `to`, in the transaction of their effects.
   * `log`: what the position is of, a topic or one of its partitions.
   *
   * @throws what can pass: those before it are done
   */
  handle(events: readonly LoggedEvent[], log: string, to: bigint, consumer: ConsumeOptions): Promise<void>
  /** Dead letters that an operator wants handled again. The inbox keeps an effect that happened from happening twice. */
  replayRequested(consumer: ConsumeOptions): Promise<void>
}

const PRUNE_EVERY_MS = 3_600_000

export function createEventHandling(
  deps: {
    readonly sql: Sql
    readonly log: Logger
    /** Where else a dead letter goes. */
    readonly onSetAside?: ((letter: DeadLetter) => Promise<void>) | undefined
  },
  options: EventHandlingOptions,
): EventHandling {
  const { sql } = deps
  const { maxAttempts, retentionSeconds } = options
  const prepared = new WeakMap<Sql, Promise<void>>()
  const prunedAtMs = new WeakMap<Sql, number>()

  /** Made once a process, in turn where several services share a database. */
  function createTables(store: Sql): Promise<void> {
    const known = prepared.get(store)
    if (known) return known
    const preparing = store
      .begin(async (tx) => {
        await tx`select pg_advisory_xact_lock(7310579, 2)`
        await tx.unsafe(INBOX_DDL + OUTBOX_DDL)
      })
      .then(() => undefined)
    prepared.set(store, preparing)
    preparing.catch(() => prepared.delete(store))
    return preparing
  }

  async function handleTogether(
    events: readonly DomainEvent[],
    log: string,
    to: bigint,
    consumer: ConsumeOptions,
  ): Promise<void> {
    await consumer.store.begin(async (tx) => {
      for (const event of events) {
        if (await claimEvent(tx, consumer.consumer, event.eventId)) await consumer.handle(tx, event)
      }
      await moveInboxPosition(tx, consumer.consumer, log, to)
    })
  }

  /** L4: a poison event is set aside and harms nobody else. */
  async function handleAlone(event: LoggedEvent, log: string, to: bigint, consumer: ConsumeOptions): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await handleTogether([event], log, to, consumer)
        return
      } catch (error) {
        const known = fromPostgres(error, 'handling a domain event')
        // What passes is waited out, however long; being told to stop meanwhile is no reason to set anything aside.
        if (retryOf(known) === 'timed') throw known
        if (retryOf(known) === 'manual' && attempt < maxAttempts) {
          if (await pause(backoffDelayMs(attempt), consumer.signal)) continue
          throw known
        }
        const { eventId, topic, key, payload, place } = event
        const letter: DeadLetter = {
          consumer: consumer.consumer,
          source: consumer.topic,
          position: place,
          subject: { kind: 'event', event: { eventId, topic, key, payload } },
          errorCode: codeOf(known),
          errorMessage: safeMessage(known),
          attempts: attempt,
        }
        await insertDeadLetters(sql, [letter])
        await deps.onSetAside?.(letter)
        await moveInboxPosition(consumer.store, consumer.consumer, log, to)
        deps.log.error({ consumer: consumer.consumer, place, eventId, code: codeOf(known) }, 'domain event set aside')
        return
      }
    }
  }

  return {
    async prepare(store) {
      await createTables(store)
      if (performance.now() - (prunedAtMs.get(store) ?? -Infinity) < PRUNE_EVERY_MS) return
      prunedAtMs.set(store, performance.now())
      await pruneOutbox(store, retentionSeconds)
      await pruneInbox(store, retentionSeconds)
    },

    async handle(events, log, to, consumer) {
      try {
        await handleTogether(events, log, to, consumer)
      } catch (error) {
        if (retryOf(fromPostgres(error, 'handling domain events')) === 'timed') throw error
        for (const [index, event] of events.entries()) {
          if (consumer.signal.aborted) return
          await handleAlone(event, log, index === events.length - 1 ? to : event.seq, consumer)
        }
      }
    },

    async replayRequested(consumer) {
      for (const letter of await requestedReplays(sql, consumer.consumer, consumer.topic)) {
        if (letter.subject.kind !== 'event') continue
        const { event } = letter.subject
        try {
          await consumer.store.begin(async (tx) => {
            if (await claimEvent(tx, consumer.consumer, event.eventId)) await consumer.handle(tx, event)
          })
          await markReplayed(sql, letter.id)
          deps.log.info({ deadLetter: letter.id, eventId: event.eventId }, 'dead letter replayed')
        } catch (error) {
          if (retryOf(fromPostgres(error, 'replaying a dead letter')) === 'timed') throw error
          const failed = { ...letter, errorCode: codeOf(error), errorMessage: safeMessage(error), attempts: 1 }
          await insertDeadLetters(sql, [failed])
        }
      }
    },
  }
}

export function codeOf(error: unknown): string {
  return error instanceof TrackOpsError ? error.code : 'UNKNOWN'
}

/** A stranger's error message may quote a value: keep its kind only, and the SQLSTATE of one from PostgreSQL. */
export function safeMessage(error: unknown): string {
  if (error instanceof TrackOpsError) return error.message
  const state = sqlStateOf(error)
  if (error instanceof Error)
    return `the handler threw ${error.name}${state?.length === 5 ? ` (SQLSTATE ${state})` : ''}`
  return 'the handler threw something that is not an error'
}
