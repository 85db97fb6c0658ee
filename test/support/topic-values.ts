/** What a topic holds, as any consumer of Kafka would read it. */
import { Consumer, MessagesStreamModes, stringDeserializers } from '@platformatic/kafka'

import { uniqueName } from './stack.ts'
import { waitFor } from './wait-for.ts'

/** The values of a topic from its beginning, until there are enough of them; null for a tombstone. */
export async function topicValues(
  t: { readonly signal: AbortSignal },
  brokers: readonly string[],
  topic: string,
  isEnough: (values: readonly (string | null)[]) => boolean,
): Promise<readonly (string | null)[]> {
  const consumer = new Consumer({
    clientId: 'test',
    groupId: uniqueName('group'),
    bootstrapBrokers: [...brokers],
    deserializers: stringDeserializers,
    metadataMaxAge: 500,
  })
  const isThere = async (): Promise<boolean> => (await consumer.metadata({ topics: [topic] })).topics.has(topic)
  try {
    await waitFor(isThere, { what: `topic ${topic}`, timeoutMs: 30_000, intervalMs: 100 })
    const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST, autocommit: false })
    const values: (string | null)[] = []
    const limit = AbortSignal.any([t.signal, AbortSignal.timeout(60_000)])
    limit.addEventListener('abort', () => stream.destroy(new Error(`only ${values.length} records came`)))
    for await (const { value } of stream) {
      values.push(value === undefined || value === '' ? null : value)
      if (isEnough(values)) break
    }
    return values
  } finally {
    await consumer.close(true)
  }
}
