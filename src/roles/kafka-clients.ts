import { Admin, Consumer, Producer } from '@platformatic/kafka'

import type { KafkaClients } from '../log/kafka/kafka-clients.ts'
import { GROUP_OPTIONS } from '../log/kafka/partition-group.ts'
import type { Settings } from '../runtime/settings.ts'

export interface KafkaConnection {
  /** `host:port` */
  readonly brokers: readonly string[]
}

/** Distributed mode: the given brokers, or those of `trackops stack up` on this machine. Embedded: undefined. */
export function kafkaConnectionOf(
  settings: Pick<Settings, 'mode' | 'kafkaBrokers' | 'kafkaPort'>,
): KafkaConnection | undefined {
  if (settings.mode === 'embedded') return undefined
  return { brokers: settings.kafkaBrokers ?? [`127.0.0.1:${settings.kafkaPort}`] }
}

/** Clients of the cluster at `brokers`. Each is closed by whoever asked for it. */
export function createKafkaClients(connection: KafkaConnection): KafkaClients {
  const base = {
    clientId: 'trackops',
    bootstrapBrokers: [...connection.brokers],
    // What does not answer is tried again by its loop, which says so: not for long in here.
    retries: 2,
    retryDelay: 250,
    timeout: 10_000,
  }
  return {
    consumer: (groupId) => new Consumer({ ...base, ...GROUP_OPTIONS, groupId }),
    producer: (transactionalId) =>
      new Producer({
        ...base,
        idempotent: true,
        acks: -1,
        ...(transactionalId === undefined ? {} : { transactionalId }),
      }),
    admin: () => new Admin(base),
  }
}
