import { toKafkaError } from '../../log/kafka/kafka-error.ts'
import { createKafkaClients, type KafkaConnection } from '../kafka-clients.ts'
import type { Check } from './finding.ts'

/** That the brokers let this process in: addresses, TLS, login. */
export const checkKafka: Check<KafkaConnection> = {
  name: 'kafka',
  async run(kafka) {
    const admin = createKafkaClients(kafka).admin()
    try {
      await admin.listTopics()
      return []
    } catch (error) {
      const { message, mend } = toKafkaError(error, `cannot use Kafka at ${kafka.brokers.join(',')}`)
      return [
        {
          id: 'kafka-unusable',
          severity: 'error',
          finding: message,
          consequence: 'The consumers do not run: no change reaches the cache, and no event is published.',
          mend,
        },
      ]
    } finally {
      await admin.close().catch(() => undefined)
    }
  },
}
