import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CONSUMER_GROUPS } from '../../src/consume/stream-consumer.ts'
import { committedOffsets } from '../../src/log/kafka/topic-offsets.ts'
import { createKafkaClients } from '../../src/roles/kafka-clients.ts'
import { assertBooksBalance } from '../faults/killed.ts'
import { type DistributedSystem, distributedSystem, WHOLE_MS } from '../support/distributed.ts'
import { whyNoStack } from '../support/stack.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { ordersComeAndGo } from './orders-come-and-go.ts'
import { copyEvents } from './topic-events.ts'

const skip = await whyNoStack()

interface Loss {
  readonly name: string
  readonly lose: (system: DistributedSystem) => Promise<unknown>
}

const LOSSES: readonly Loss[] = [
  { name: 'the offsets of all groups set to the beginning', lose: setOffsetsToBeginning },
  {
    name: "the offsets of all groups set to the beginning, and Redis's positions deleted",
    async lose(system) {
      await setOffsetsToBeginning(system)
      const positions = await system.redis.keys('trackops:position:*')
      assert.ok(positions.length > 0)
      await system.redis.del(positions)
    },
  },
]

test(
  'distributed: what is delivered again from the beginning has its effect once, and nothing is stale',
  { skip, timeout: WHOLE_MS },
  async (t) => {
    const system = await distributedSystem(t)
    const { sql, inventorySql } = system
    for (const { name, lose } of LOSSES) {
      await t.test(`${name} while the system is stopped`, async () => {
        await someOrders(system)
        await caughtUp(system)
        await system.stop()
        await lose(system)
        // So that what comes again is older than what is there.
        await sql`update orders set total_amount = total_amount + 1`
        await system.restart()
        await someOrders(system)
        await caughtUp(system, 120_000)
        assert.deepEqual(await copyEvents(system), [], 'no event is on the topic twice')
        await assertBooksBalance(sql, inventorySql, name)
        await caughtUp(system)
        await assertNothingStale(system)
      })
    }
  },
)

async function someOrders(system: DistributedSystem): Promise<void> {
  const stop = new AbortController()
  const load = ordersComeAndGo(system, stop.signal)
  const count = async (): Promise<number> =>
    (await system.sql<{ n: number }[]>`select count(*)::int as n from orders`)[0]?.n ?? 0
  try {
    const from = await count()
    await waitFor(async () => (await count()) > from + 60, { what: 'orders', intervalMs: 50 })
  } finally {
    stop.abort()
    await load
  }
}

/** Of groups without members: Kafka refuses it while one of them is still leaving. */
async function setOffsetsToBeginning({ stack }: DistributedSystem): Promise<void> {
  const admin = createKafkaClients(stack).admin()
  try {
    for (const groupId of Object.values(CONSUMER_GROUPS)) {
      const committed = await committedOffsets(admin, groupId)
      assert.ok(committed.size > 0, `${groupId} has committed nothing`)
      const topics = Map.groupBy(committed.keys(), (name) => name.slice(0, name.lastIndexOf('-')))
      await waitFor(
        async () => {
          await admin.alterConsumerGroupOffsets({
            groupId,
            topics: Array.from(topics, ([name, partitions]) => ({
              name,
              partitionOffsets: partitions.map((partition) => ({
                partition: Number(partition.slice(name.length + 1)),
                offset: 0n,
              })),
            })),
          })
          return true
        },
        { what: `the offsets of ${groupId} to be set`, intervalMs: 100 },
      )
    }
  } finally {
    await admin.close()
  }
}
