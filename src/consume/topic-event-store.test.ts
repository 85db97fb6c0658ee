import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { eventsOf } from '../../test/distributed/topic-events.ts'
import { testStack, uniqueName, whyNoStack } from '../../test/support/stack.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { toLsn } from '../change/lsn.ts'
import { createPartitionGroup, type OwnPartition } from '../log/kafka/partition-group.ts'
import { ensureTopic } from '../log/kafka/topics.ts'
import { logDatabase } from '../log/log-fixture.ts'
import { createKafkaClients } from '../roles/kafka-clients.ts'
import { SILENT } from '../runtime/logger.ts'
import { HISTORY, place } from './change-fixture.ts'
import type { DerivedEvent } from './derive-events.ts'
import { formatStoredPosition } from './stored-position.ts'
import { createTopicEventStore, type TopicEventStore } from './topic-event-store.ts'

const skip = await whyNoStack()

async function fixture(t: TestContext) {
  const stack = await testStack()
  const clients = createKafkaClients(stack)
  const { sql } = await logDatabase(t)
  const [source, target] = [uniqueName('source'), uniqueName('events')]
  await ensureTopic(clients, source, 1)
  await ensureTopic(clients, target, 1)
  const stop = new AbortController()
  const given = Promise.withResolvers<OwnPartition>()
  const group = createPartitionGroup({ clients, log: SILENT }, { groupId: uniqueName('events'), topics: [source] })
  const running = group.run(async (partition, signal) => {
    given.resolve(partition)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }, stop.signal)
  const stores: TopicEventStore[] = []
  t.after(async () => {
    for (const store of stores) await store.close()
    stop.abort()
    await running
  })
  const partition = await given.promise
  const store = (): TopicEventStore => {
    const made = createTopicEventStore({
      sql,
      openProducer: () => clients.producer(`tx-${source}`),
      partition,
      format: (offset) => formatStoredPosition(HISTORY, place(Number(offset))),
      consumer: 'order-event-consumer',
      onSetAside: () => Promise.resolve(),
    })
    stores.push(made)
    return made
  }
  const published = async (): Promise<string[]> => (await eventsOf(stack, target)).map(({ eventId }) => eventId)
  const event = (eventId: string, offset: number): DerivedEvent => ({
    event: { eventId, topic: target, key: 'k', payload: { offset: String(offset) } },
    definition: { topic: target, table: 'public.items', columns: [], derive: () => [] },
    change: null,
    position: { commitLsn: toLsn(BigInt(offset)), ordinal: 1 },
  })
  const move = (from: number, to: number) => ({
    from: formatStoredPosition(HISTORY, place(from)),
    to: formatStoredPosition(HISTORY, place(to)),
    horizon: null,
  })
  return { store, published, event, move, partition }
}

test(
  'events are on the topic once: the same records read again by the next owner, a record delivered twice, a zombie',
  { skip },
  async (t) => {
    const { store, published, event, move, partition } = await fixture(t)
    const first = store()
    await first.write(move(0, 1), { events: [event('A', 0)], deadLetters: [] })
    assert.deepEqual(await published(), ['A'])
    assert.equal(await partition.committed(), 1n)

    // The next owner asked for the group's offset before the transaction of the first was settled.
    const second = store()
    await second.write(move(0, 2), { events: [event('A', 0), event('B', 1)], deadLetters: [] })
    assert.deepEqual(await published(), ['A', 'B'])
    assert.equal(await partition.committed(), 2n)

    // The connector repeats itself after a crash: another offset, the same event.
    await second.write(move(2, 4), { events: [event('A', 2), event('C', 3)], deadLetters: [] })
    assert.deepEqual(await published(), ['A', 'B', 'C'])

    await assert.rejects(first.write(move(1, 5), { events: [event('D', 4)], deadLetters: [] }), {
      code: 'KAFKA_REFUSED',
    })
    assert.deepEqual(await published(), ['A', 'B', 'C'], 'who was fenced off publishes nothing')
    await second.write(move(4, 5), { events: [event('D', 4)], deadLetters: [] })
    assert.deepEqual(await published(), ['A', 'B', 'C', 'D'], 'what he had noted is not lost')
  },
)

test('events are on the topic once where the offset of the group was lost or set back', { skip }, async (t) => {
  const { store, published, event, move, partition } = await fixture(t)
  const derived = { events: [event('A', 0), event('B', 1)], deadLetters: [] }
  await store().write(move(0, 2), derived)
  partition.commit(0n)
  await waitFor(() => partition.committed(), { what: 'the offset to be set back', until: (offset) => offset === 0n })
  await store().write(move(0, 3), { events: [...derived.events, event('C', 2)], deadLetters: [] })
  assert.deepEqual(await published(), ['A', 'B', 'C'])
  assert.equal(await partition.committed(), 3n)
})
