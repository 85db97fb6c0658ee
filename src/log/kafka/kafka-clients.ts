import type { Admin, Consumer, Producer } from '@platformatic/kafka'

/** Makes clients of one cluster, with its addresses, TLS and SASL: `src/roles` does. Keys and values are bytes. */
export interface KafkaClients {
  consumer(groupId: string): Consumer
  /** With an id of its own, transactions of it that were left open are ended by the next producer of that id. */
  producer(transactionalId?: string): Producer
  admin(): Admin
}
