/** What the real connector wrote: every record of its topics, read by the project's own reader. */
import { Admin } from '@platformatic/kafka'

import { createPartitionFetch } from '../../src/log/kafka/partition-fetch.ts'
import type { KafkaRecord } from '../../src/log/kafka/committed-records.ts'
import { createKafkaClients } from '../../src/roles/kafka-clients.ts'
import { uniqueName } from '../support/stack.ts'

export interface TopicReader {
  /** How many records a topic has; 0 for one that is not there yet. All are of one partition. */
  counts(topics: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** Topics whose name matches. */
  list(matches: (topic: string) => boolean): Promise<readonly string[]>
  /** Everything that the topics have now. */
  readAll(topics: readonly string[]): Promise<ReadonlyMap<string, readonly KafkaRecord[]>>
  close(): Promise<void>
}

export function readTopics(brokers: readonly string[]): TopicReader {
  const clients = createKafkaClients({ brokers })
  const consumer = clients.consumer(uniqueName('conformance'))
  const admin = new Admin({ clientId: 'conformance', bootstrapBrokers: [...brokers], retries: 2 })

  const counts = async (topics: readonly string[]): Promise<ReadonlyMap<string, number>> => {
    const there = new Set(await admin.listTopics())
    const known = topics.filter((topic) => there.has(topic))
    if (known.length === 0) return new Map()
    const offsets = await consumer.listOffsets({ topics: [...known] })
    return new Map([...offsets].map(([topic, [end]]) => [topic, Number(end ?? 0)]))
  }

  return {
    counts,
    list: async (matches) => (await admin.listTopics()).filter(matches),
    async readAll(topics) {
      const ends = await counts(topics)
      consumer.topics.trackAll(...topics)
      const fetch = createPartitionFetch(consumer, { totalBytes: 256 * 1024 * 1024 })
      const done = new AbortController()
      const running = fetch.run(done.signal)
      const readOne = async ([topic, end]: readonly [string, number]): Promise<[string, readonly KafkaRecord[]]> => {
        const records: KafkaRecord[] = []
        if (end === 0) return [topic, records]
        for await (const fetched of fetch.read({ topic, partition: 0 }, 0n, done.signal)) {
          records.push(...fetched.records)
          if (Number(fetched.nextOffset) >= end) break
        }
        return [topic, records]
      }
      try {
        return new Map(await Promise.race([Promise.all([...ends].map(readOne)), running.then(() => [])]))
      } finally {
        done.abort()
        await running.catch(() => undefined)
      }
    },
    async close() {
      await consumer.close(true)
      await admin.close()
    },
  }
}
