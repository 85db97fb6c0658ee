import type { History } from '../change/change-event.ts'
import type { Lsn } from '../change/lsn.ts'
import type { Position } from '../change/position.ts'
import type { Snapshot } from '../change/transaction-id.ts'
import type { BatchSource } from './batch.ts'
import type { Visibility } from './visibility.ts'

/** The consumers' names, as the seed's diagram has them, and the consumer groups that they are. */
export const CONSUMER_GROUPS = {
  'order-event-consumer': 'debezium-order-consumer',
  'cache-invalidator': 'debezium-cache-consumer',
  'cache-warmer': 'debezium-cache-warmer',
} as const

export type ConsumerName = keyof typeof CONSUMER_GROUPS

export const CONSUMERS = ['order-event-consumer', 'cache-invalidator', 'cache-warmer'] as const satisfies ConsumerName[]

/** What a run of the stream gives to every consumer: all of it belongs to one opening of one slot. */
export interface StreamContext {
  readonly history: History
  readonly resumeLsn: Lsn
  /** Where the log ended when it was opened; null or left out where a log cannot lose its end. */
  readonly endLsn?: Lsn | null
  /** Where to begin if no position can be continued; left out: at `resumeLsn`. */
  readonly beginLsn?: Lsn
  /** Of a slot that was made for this run: in it are visible those that come by no event (see Capture). Else null. */
  readonly visibleBefore: Snapshot | null
  readonly visibility: Visibility
  /** Runs the step when those that other consumers of this stream gave before have ended. */
  inTurn<T>(step: () => Promise<T>): Promise<T>
}

/**
 * A reader of the change stream with a position of its own. It is run anew whenever the stream is: it finds its stored
 * position, skips what it has processed, and goes on.
 */
export interface StreamConsumer {
  readonly name: string
  /**
   * Processes until the signal aborts or the source ends. Waits out what passes by itself where it can.
   *
   * @throws what makes the whole stream begin anew (POSITION_MISMATCH, HISTORY_CHANGED), or must stop it
   */
  run(source: BatchSource, context: StreamContext, signal: AbortSignal): Promise<void>
  /** Everything that commits before this has its effects where a crash can't take them back; null before the first. */
  durableLsn(): Lsn | null
  status(): ConsumerStatus
}

export interface ConsumerStatus {
  readonly name: string
  readonly group: string
  /** Of the last event processed; null before the start. */
  readonly appliedPosition: Position | null
  /** Change events processed since the process began. */
  readonly processedCount: number
  readonly state: 'stopped' | 'running' | 'waiting'
  /** Why it waits, for people. */
  readonly reason: string | null
  /** Of a topic's consumer: how many partitions this process has. */
  readonly partitions?: number
  /** Records between what is applied and the end of these partitions, as of their last answer; null before it is known. */
  readonly lagMessages?: number | null
}

/** One loop may be two consumers: for whoever asks about one of them they are two, at the same place. */
export function asSeparate(consumer: ConsumerStatus): readonly ConsumerStatus[] {
  const groups = consumer.group.split('+')
  return consumer.name.split('+').map((name, index) => ({ ...consumer, name, group: groups[index] ?? consumer.group }))
}
