import type { Sql, TransactionSql } from 'postgres'

import type { Value } from '../change/value.ts'

/** A fact that the application announces. Its id derives from what happened, so that announcing it again is no second event. */
export interface DomainEvent {
  readonly eventId: string
  /** `order-events` */
  readonly topic: string
  /** Events of one key keep their order. */
  readonly key: string
  readonly payload: { readonly [name: string]: Value }
}

/**
 * Where domain events travel: a table in PostgreSQL (embedded) or Kafka topics (distributed). Services see only this.
 */
export interface DomainEventBus {
  /**
   * Calls `handle` once for each event of a topic, in the order of the log, inside a transaction of `store` that also
   * moves the consumer's position and notes the event's id in an inbox: the effect happens once, whatever is redelivered. Runs
   * until the signal aborts; transient failures are tried again; an event that fails for good becomes a dead letter
   * and consumption goes on.
   */
  consume(options: ConsumeOptions): Promise<void>
  /**
   * Publishes what the store's outbox holds (see `enqueue`), again and again until the signal aborts.
   */
  relay(options: { readonly store: Sql; readonly signal: AbortSignal }): Promise<void>
}

export interface ConsumeOptions {
  readonly topic: string
  /** Names the position and the inbox rows: one name, one consumer. */
  readonly consumer: string
  readonly store: Sql
  readonly handle: (tx: TransactionSql, event: DomainEvent) => Promise<void>
  readonly signal: AbortSignal
}
