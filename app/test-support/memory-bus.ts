import { setTimeout as pause } from 'node:timers/promises'

import type { DomainEvent, DomainEventBus } from '../../src/index.ts'

/** Topics in memory: enough of a bus to see what services do with one. Publishing an event id again does nothing. */
export interface MemoryBus extends DomainEventBus {
  publish(events: readonly DomainEvent[]): void
  readonly published: readonly DomainEvent[]
}

const POLL_MS = 5

export function createMemoryBus(): MemoryBus {
  const log: DomainEvent[] = []
  const known = new Set<string>()
  const publish = (events: readonly DomainEvent[]) => {
    for (const event of events) {
      if (known.has(event.eventId)) continue
      known.add(event.eventId)
      log.push(event)
    }
  }
  return {
    publish,
    published: log,
    async consume({ topic, store, handle, signal }) {
      for (let next = 0; !signal.aborted;) {
        const event = log[next]
        if (!event) {
          await pause(POLL_MS, undefined, { signal }).catch(() => undefined)
          continue
        }
        if (event.topic === topic) await store.begin((tx) => handle(tx, event))
        next += 1
      }
    },
    async relay({ store, signal }) {
      while (!signal.aborted) {
        const rows = await store<{ event_id: string; topic: string; key: string; payload: DomainEvent['payload'] }[]>`
          update trackops_outbox set published_at = now() where published_at is null
          returning event_id, topic, key, payload`
        publish(rows.map((row) => ({ eventId: row.event_id, topic: row.topic, key: row.key, payload: row.payload })))
        await pause(POLL_MS, undefined, { signal }).catch(() => undefined)
      }
    },
  }
}
