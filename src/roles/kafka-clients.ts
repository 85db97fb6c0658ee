import { isIP } from 'node:net'

import { Admin, Consumer, Producer } from '@platformatic/kafka'

import type { KafkaClients } from '../log/kafka/kafka-clients.ts'
import { GROUP_OPTIONS } from '../log/kafka/partition-group.ts'
import type { KafkaSaslMechanism } from '../runtime/settings.ts'
import type { TlsMaterial } from '../runtime/tls.ts'

export interface KafkaConnection {
  /** `host:port` */
  readonly brokers: readonly string[]
  /** Given: over TLS, certificates and host names checked. Empty: with the public authorities. */
  readonly tls?: TlsMaterial | undefined
  readonly sasl?: KafkaLogin | undefined
}

export interface KafkaLogin {
  readonly mechanism: KafkaSaslMechanism
  readonly username: string
  readonly password: string
}

/** Clients of the cluster at `brokers`. Each is closed by whoever asked for it. */
export function createKafkaClients(connection: KafkaConnection): KafkaClients {
  const { brokers, tls, sasl } = connection
  const base = {
    clientId: 'trackops',
    bootstrapBrokers: [...brokers],
    // What does not answer is tried again by its loop, which says so: not for long in here.
    retries: 2,
    retryDelay: 250,
    timeout: 10_000,
    ...(tls && { tls: { ...tls }, tlsServerName: brokers.every(isNamed) }),
    ...(sasl && { sasl: { ...sasl } }),
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

/** A proxy before many brokers goes by the name; an address is none. */
function isNamed(broker: string): boolean {
  return isIP(broker.replace(/:\d+$/, '').replaceAll(/^\[|\]$/g, '')) === 0
}
