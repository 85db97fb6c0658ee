import type { Sql } from 'postgres'

import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { retryOf, TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { fromPostgres } from '../runtime/postgres-errors.ts'
import { insertDeadLetters, markReplayed, requestedReplays } from './dead-letters.ts'
import type { ConsumeOptions, DomainEventBus } from './domain-event.ts'
import { readDomainEvents, type StoredEvent } from './domain-event-table.ts'
import { claimEvent, INBOX_DDL, moveInboxPosition, pruneInbox, readInboxPosition } from './inbox.ts'
import { OUTBOX_CHANNEL, OUTBOX_DDL, pruneOutbox, relayOutbox } from './outbox.ts'
import { createWakeUp } from './wake-up.ts'

export interface TableEventBusDeps {
  /** The database with `trackops.domain_events`. */
  readonly sql: Sql
  readonly log: Logger
}

export interface TableEventBusOptions {
  /** Events a transaction at most. Default 100: enough to make commits cheap, few enough to hold locks shortly. */
  readonly batchSize?: number
  /** Upper bound of a wait for a notification. Default 1,000 ms. */
  readonly pollMs?: number
  /**
   * Attempts of one event that the database refuses before it is set aside. Default 5, about a second. What
   * passes by itself is tried without end; what will fail again is set aside at once.
   */
  readonly maxAttempts?: number
  /** How long inbox and outbox rows are kept. Default 14 days, twice what events are kept. */
  readonly retentionSeconds?: number
}

const DEFAULTS = {
  batchSize: 100,
  pollMs: 1000,
  maxAttempts: 5,
  retentionSeconds: 14 * 86_400,
} as const satisfies TableEventBusOptions

const PRUNE_EVERY_MS = 3_600_000

/** Domain events in embedded mode: a table, read in order, each effect in one transaction with its inbox row. */
export function createTableEventBus(deps: TableEventBusDeps, options: TableEventBusOptions = {}): DomainEventBus {
  const { batchSize, pollMs, maxAttempts, retentionSeconds } = { ...DEFAULTS, ...options }
  const prepared = new WeakMap<Sql, Promise<void>>()

  /** The tables that a service's database needs; made once a process, in turn where several services share one. */
  function prepare(store: Sql): Promise<void> {
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

  /** Now and then: nothing in a service's database grows without bound. */
  function createPruning(store: Sql): () => Promise<void> {
    let prunedAtMs = -Infinity
    return async () => {
      if (performance.now() - prunedAtMs < PRUNE_EVERY_MS) return
      prunedAtMs = performance.now()
      await pruneOutbox(store, retentionSeconds)
      await pruneInbox(store, retentionSeconds)
    }
  }

  /** Runs `step` until the signal aborts; a step that did nothing is followed by a wait, a failed one by a pause. */
  async function repeat(
    wake: { readonly store: Sql; readonly channel: string },
    signal: AbortSignal,
    log: Logger,
    step: () => Promise<number>,
  ): Promise<void> {
    const wakeUp = createWakeUp(wake.store, wake.channel, log)
    let failures = 0
    try {
      while (!signal.aborted) {
        try {
          const done = await step()
          failures = 0
          if (done === 0) await wakeUp.next(pollMs, signal)
        } catch (error) {
          if (signal.aborted) return
          const known = fromPostgres(error, 'reading domain events')
          const waitMs = backoffDelayMs(failures++)
          log.warn({ waitMs, error: messageOf(known), code: codeOf(known) }, 'domain events wait')
          await pause(waitMs, signal)
        }
      }
    } finally {
      await wakeUp.close()
    }
  }

  async function handleTogether(events: readonly StoredEvent[], to: ConsumeOptions): Promise<void> {
    const last = events.at(-1)
    if (!last) return
    await to.store.begin(async (tx) => {
      for (const event of events) {
        if (await claimEvent(tx, to.consumer, event.eventId)) await to.handle(tx, event)
      }
      await moveInboxPosition(tx, to.consumer, to.topic, last.seq)
    })
  }

  /** L4: a poison event is set aside and harms nobody else. */
  async function handleAlone(event: StoredEvent, to: ConsumeOptions, log: Logger): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await handleTogether([event], to)
        return
      } catch (error) {
        const known = fromPostgres(error, 'handling a domain event')
        // What passes is waited out, however long; being told to stop meanwhile is no reason to set anything aside.
        if (retryOf(known) === 'timed') throw known
        if (retryOf(known) === 'manual' && attempt < maxAttempts) {
          if (await pause(backoffDelayMs(attempt), to.signal)) continue
          throw known
        }
        await insertDeadLetters(deps.sql, [
          {
            consumer: to.consumer,
            source: to.topic,
            position: event.seq.toString(),
            subject: {
              kind: 'event',
              event: { eventId: event.eventId, topic: event.topic, key: event.key, payload: event.payload },
            },
            errorCode: codeOf(known),
            errorMessage: safeMessage(known),
            attempts: attempt,
          },
        ])
        await moveInboxPosition(to.store, to.consumer, to.topic, event.seq)
        log.error({ seq: event.seq.toString(), eventId: event.eventId, code: codeOf(known) }, 'domain event set aside')
        return
      }
    }
  }

  /** Dead letters that an operator wants handled again. The inbox keeps an effect that happened from happening twice. */
  async function replayRequested(to: ConsumeOptions, log: Logger): Promise<void> {
    for (const letter of await requestedReplays(deps.sql, to.consumer, to.topic)) {
      if (letter.subject.kind !== 'event') continue
      const { event } = letter.subject
      try {
        await to.store.begin(async (tx) => {
          if (await claimEvent(tx, to.consumer, event.eventId)) await to.handle(tx, event)
        })
        await markReplayed(deps.sql, letter.id)
        log.info({ deadLetter: letter.id, eventId: event.eventId }, 'dead letter replayed')
      } catch (error) {
        if (retryOf(fromPostgres(error, 'replaying a dead letter')) === 'timed') throw error
        const failed = { ...letter, errorCode: codeOf(error), errorMessage: safeMessage(error), attempts: 1 }
        await insertDeadLetters(deps.sql, [failed])
      }
    }
  }

  return {
    async consume(to) {
      const log = deps.log.child({ consumer: to.consumer, topic: to.topic })
      const prune = createPruning(to.store)
      await repeat({ store: deps.sql, channel: 'trackops_domain_events' }, to.signal, log, async () => {
        await prepare(to.store)
        await prune()
        await replayRequested(to, log)
        const afterSeq = await readInboxPosition(to.store, to.consumer, to.topic)
        const events = await readDomainEvents(deps.sql, { topic: to.topic, afterSeq, limit: batchSize })
        try {
          await handleTogether(events, to)
        } catch (error) {
          if (retryOf(fromPostgres(error, 'handling domain events')) === 'timed') throw error
          for (const event of events) if (!to.signal.aborted) await handleAlone(event, to, log)
        }
        return events.length
      })
    },

    async relay({ store, signal }) {
      const log = deps.log.child({ relay: 'outbox' })
      const prune = createPruning(store)
      await repeat({ store, channel: OUTBOX_CHANNEL }, signal, log, async () => {
        await prepare(store)
        await prune()
        return await relayOutbox(store, deps.sql, batchSize)
      })
    },
  }
}

function codeOf(error: unknown): string {
  return error instanceof TrackOpsError ? error.code : 'UNKNOWN'
}

function messageOf(error: unknown): string {
  return error instanceof TrackOpsError ? error.message : safeMessage(error)
}

/** A stranger's error message may quote a value: keep its kind only. */
function safeMessage(error: unknown): string {
  if (error instanceof TrackOpsError) return error.message
  if (error instanceof Error) return `the handler threw ${error.name}`
  return 'the handler threw something that is not an error'
}
