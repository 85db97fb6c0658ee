import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { testStack, uniqueName, whyNoStack } from '../../../test/support/stack.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { createKafkaClients } from '../../roles/kafka-clients.ts'
import { SILENT } from '../../runtime/logger.ts'
import type { KafkaClients } from './kafka-clients.ts'
import { createPartitionGroup, type OwnPartition } from './partition-group.ts'

const skip = await whyNoStack()
const bytes = (text: string): Buffer => Buffer.from(text)

async function topicOf(t: TestContext, partitions: number): Promise<{ clients: KafkaClients; topic: string }> {
  const clients = createKafkaClients(await testStack())
  const topic = uniqueName('group')
  const admin = clients.admin()
  t.after(() => admin.close())
  await admin.createTopics({ topics: [topic], partitions, replicas: 1 })
  return { clients, topic }
}

/** A member that reads each of its partitions from `from` on. */
function member(
  t: TestContext,
  clients: KafkaClients,
  topic: string,
  from: (partition: OwnPartition) => Promise<bigint>,
) {
  const seen: string[] = []
  const stop = new AbortController()
  const group = createPartitionGroup({ clients, log: SILENT }, { groupId: `group-of-${topic}`, topics: [topic] })
  const running = group.run(async (partition, signal) => {
    for await (const { records, nextOffset } of partition.read(await from(partition), signal)) {
      for (const { offset, value } of records) seen.push(`${partition.partition}/${offset} ${value?.toString()}`)
      partition.commit(nextOffset)
    }
  }, stop.signal)
  const leave = async (): Promise<void> => {
    stop.abort()
    await running
  }
  t.after(leave)
  return { seen, leave, count: () => group.status().partitions.length }
}

const committed = async (partition: OwnPartition): Promise<bigint> =>
  (await partition.committed()) ?? (await partition.bounds()).start

test(
  'what is committed is read, what was aborted is not, from the place that the reader tells',
  { skip },
  async (t) => {
    const { clients, topic } = await topicOf(t, 1)
    const plain = clients.producer()
    const transactional = clients.producer(uniqueName('tx'))
    t.after(async () => await Promise.all([plain.close(), transactional.close()]))
    await plain.send({ messages: ['a', 'b'].map((value) => ({ topic, value: bytes(value) })) })
    const aborted = await transactional.beginTransaction({ producerId: -1n, producerEpoch: -1 })
    await aborted.send({ messages: [{ topic, value: bytes('aborted') }] })
    await aborted.abort()
    const kept = await transactional.beginTransaction()
    await kept.send({ messages: [{ topic, value: bytes('kept') }] })
    await kept.commit()
    const { seen } = member(t, clients, topic, () => Promise.resolve(1n))
    await waitFor(() => seen.length >= 2, { what: 'the records' })
    assert.deepEqual(seen, ['0/1 b', '0/4 kept'])
  },
)

test(
  'members share the partitions, and who leaves hands over where it stood: each record is read once',
  { skip },
  async (t) => {
    const { clients, topic } = await topicOf(t, 4)
    const producer = clients.producer()
    t.after(() => producer.close())
    let sent = 0
    const send = async (count: number): Promise<void> => {
      const messages = Array.from({ length: count }, () => ({
        topic,
        key: bytes(`k${sent}`),
        value: bytes(`v${sent++}`),
      }))
      await producer.send({ messages })
    }
    const first = member(t, clients, topic, committed)
    await waitFor(() => first.count() === 4, { what: 'all partitions' })
    await send(40)
    await waitFor(() => first.seen.length === 40, { what: 'the first to read all' })
    const second = member(t, clients, topic, committed)
    await waitFor(() => first.count() === 2 && second.count() === 2, { what: 'two partitions each' })
    await send(40)
    await waitFor(() => first.seen.length + second.seen.length === 80, { what: 'both to read the rest' })
    await first.leave()
    await waitFor(() => second.count() === 4, { what: 'the second to have all' })
    await send(40)
    await waitFor(() => first.seen.length + second.seen.length >= 120, { what: 'the last' })
    const all = [...first.seen, ...second.seen]
    assert.equal(new Set(all).size, 120)
    assert.equal(all.length, 120)
    assert.ok(second.seen.length > 40)
  },
)

test('a topic that is not there is waited for, and said', { skip }, async (t) => {
  const clients = createKafkaClients(await testStack())
  const stop = new AbortController()
  const group = createPartitionGroup(
    { clients, log: SILENT },
    { groupId: uniqueName('g'), topics: [uniqueName('none')] },
  )
  const running = group.run(() => Promise.resolve(), stop.signal)
  t.after(async () => {
    stop.abort()
    await running
  })
  await waitFor(() => group.status().reason, {
    what: 'the reason',
    until: (reason) => reason.includes('TOPIC_MISSING'),
  })
})
