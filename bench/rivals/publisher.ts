import type { Producer } from '@platformatic/kafka'

import type { ChangeEvent } from './consume.ts'

const TOPIC = 'rival-order-events'

/** Publishes what happened to an order, at least once: a redelivered change is published again. */
export function createPublisher(producer: Producer) {
  const publish = async (type: string, orderId: string): Promise<void> => {
    const value = Buffer.from(JSON.stringify({ type, orderId, occurredAt: new Date().toISOString() }))
    await producer.send({ messages: [{ topic: TOPIC, key: Buffer.from(orderId), value }], acks: -1 })
  }
  return async ({ op, before, after }: ChangeEvent): Promise<void> => {
    if (op === 'c' && after) await publish('ORDER_CREATED', after.id)
    if (op === 'u' && after && before?.['status'] !== after['status'])
      await publish(`ORDER_${String(after['status'])}`, after.id)
  }
}

export const RIVAL_EVENTS_TOPIC = TOPIC
