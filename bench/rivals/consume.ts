/**
 * What the three rivals share: a consumer group that reads the connector's topic, and commits behind its effects (at least once).
 *
 * The rivals are the consumers that somebody writes who knows Kafka and Redis well and has not thought about their races:
 * effects before commits, errors tried again, JSON of Debezium read properly. No versions, no leases, no fences.
 */
import { setTimeout as sleep } from 'node:timers/promises'

import { Consumer, type Message } from '@platformatic/kafka'

export interface ChangeEvent {
  readonly op: 'c' | 'u' | 'd' | 'r' | 't'
  readonly before: OrderRow | null
  readonly after: OrderRow | null
}

/** As Debezium writes it, with decimal.handling.mode=string. */
export type OrderRow = { readonly id: string } & Readonly<Record<string, string | number | null>>

export interface ConsumeOptions {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly groupId: string
  /** Events at a time: 1 is one after the other, as most people write it. */
  readonly concurrency: number
  readonly signal: AbortSignal
}

const COMMIT_EVERY_MS = 100
const RETRY_MS = 100

export async function consume(options: ConsumeOptions, handle: (event: ChangeEvent) => Promise<void>): Promise<void> {
  const { topic, groupId, concurrency, signal } = options
  const consumer = new Consumer({
    clientId: groupId,
    groupId,
    bootstrapBrokers: [...options.brokers],
    sessionTimeout: 10_000,
    heartbeatInterval: 1_000,
  })
  const stream = await consumer.consume({
    topics: [topic],
    mode: 'committed',
    fallbackMode: 'earliest',
    autocommit: false,
  })
  signal.addEventListener('abort', () => void stream.close(), { once: true })
  let inFlight: Promise<void>[] = []
  let uncommitted = new Map<number, Message>()

  async function commit(): Promise<void> {
    await Promise.all(inFlight)
    inFlight = []
    const last = [...uncommitted.values()]
    uncommitted = new Map()
    for (const message of last) await message.commit()
  }

  // In turn with the loop below: a commit waits for what is on its way, and nothing is taken meanwhile.
  let committing: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    committing = committing.then(commit).catch(() => undefined)
  }, COMMIT_EVERY_MS)
  try {
    for await (const message of stream) {
      await committing
      const handling = handleSurely(message, handle, options)
      // Seen below, with the others.
      handling.catch(() => undefined)
      inFlight.push(handling)
      uncommitted.set(message.partition, message)
      if (inFlight.length >= concurrency) {
        await Promise.all(inFlight)
        inFlight = []
      }
    }
  } finally {
    clearInterval(timer)
    await committing
    await commit().catch(() => undefined)
    await consumer.close(true).catch(() => undefined)
  }
}

/**
 * Redis or PostgreSQL may be away for a moment: the event is tried again until it worked. Where the process is told to end meanwhile it
 * fails, so that it is not committed.
 */
async function handleSurely(
  message: Message,
  handle: (event: ChangeEvent) => Promise<void>,
  { signal }: ConsumeOptions,
): Promise<void> {
  const event = parse(message.value)
  while (event) {
    try {
      await handle(event)
      return
    } catch (error) {
      if (signal.aborted) throw error
      await sleep(RETRY_MS)
    }
  }
}

/** null: a tombstone. */
function parse(value: Buffer | undefined | null): ChangeEvent | null {
  if (!value || value.length === 0) return null
  return JSON.parse(value.toString('utf8')) as ChangeEvent
}
