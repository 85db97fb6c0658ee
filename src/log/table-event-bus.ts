import type { Sql } from 'postgres'

import type { Logger } from '../runtime/logger.ts'
import type { DomainEventBus } from './domain-event.ts'
import { insertDomainEvents, readDomainEvents } from './domain-event-table.ts'
import { createEventHandling } from './event-handling.ts'
import { readInboxPosition } from './inbox.ts'
import { OUTBOX_CHANNEL, relayOutbox } from './outbox.ts'
import { repeatStep } from './repeat-step.ts'

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

/** Domain events in embedded mode: a table, read in order, each effect in one transaction with its inbox row. */
export function createTableEventBus(deps: TableEventBusDeps, options: TableEventBusOptions = {}): DomainEventBus {
  const { sql } = deps
  const { batchSize, pollMs, maxAttempts, retentionSeconds } = { ...DEFAULTS, ...options }
  const handling = createEventHandling(deps, { maxAttempts, retentionSeconds })

  return {
    async consume(consumer) {
      const { topic, store, signal } = consumer
      const log = deps.log.child({ consumer: consumer.consumer, topic })
      await repeatStep({ sql, log }, { channel: 'trackops_domain_events', pollMs, signal }, async () => {
        await handling.prepare(store)
        await handling.replayRequested(consumer)
        const afterSeq = await readInboxPosition(store, consumer.consumer, topic)
        const events = await readDomainEvents(sql, { topic, afterSeq, limit: batchSize })
        const last = events.at(-1)
        const logged = events.map((event) => ({ ...event, place: event.seq.toString() }))
        if (last) await handling.handle(logged, topic, last.seq, consumer)
        return events.length
      })
    },

    async relay({ store, signal }) {
      const log = deps.log.child({ relay: 'outbox' })
      await repeatStep({ sql: store, log }, { channel: OUTBOX_CHANNEL, pollMs, signal }, async () => {
        await handling.prepare(store)
        return await relayOutbox(store, (events) => insertDomainEvents(sql, events), batchSize)
      })
    },
  }
}
