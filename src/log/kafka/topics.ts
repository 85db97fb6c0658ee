import type { KafkaClients } from './kafka-clients.ts'
import { isUnknownTopic, toKafkaError } from './kafka-error.ts'

/** Makes the topic if it is not there, with as many replicas as the broker has by default. @throws TrackOpsError KAFKA_... */
export async function ensureTopic(
  clients: KafkaClients,
  topic: string,
  partitions: number,
  configs: Readonly<Record<string, string>> = {},
): Promise<void> {
  const admin = clients.admin()
  try {
    const isThere = await admin.metadata({ topics: [topic], forceUpdate: true }).then(
      (metadata) => metadata.topics.has(topic),
      (error: unknown) => {
        if (isUnknownTopic(error)) return false
        throw error
      },
    )
    if (isThere) return
    await admin
      .createTopics({
        topics: [topic],
        partitions,
        replicas: -1,
        configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
      })
      .catch((error: unknown) => {
        // Another process was faster.
        if (!/TOPIC_ALREADY_EXISTS|already exists/i.test(String(toKafkaError(error, '').message))) throw error
      })
  } catch (error) {
    throw toKafkaError(error, `making the topic ${topic}`)
  } finally {
    await admin.close().catch(() => undefined)
  }
}
