import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assertBooksBalance } from '../faults/killed.ts'
import { type DistributedSystem, distributedSystem, WHOLE_MS } from '../support/distributed.ts'
import { connectorRuns, whyNoStack } from '../support/stack.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { ordersComeAndGo } from './orders-come-and-go.ts'
import { copyEvents } from './topic-events.ts'

const skip = await whyNoStack()

interface Fault {
  readonly name: string
  /** `progress` resolves when so many orders more are there. */
  readonly run: (system: DistributedSystem, progress: (orders?: number) => Promise<void>) => Promise<void>
}

/** Orders that have events and are gone. */
const deleted: string[] = []

const FAULTS: readonly Fault[] = [
  {
    name: 'the broker killed and started again',
    async run({ stack }, progress) {
      await stack.kafka.kill()
      await progress()
      await stack.kafka.start()
    },
  },
  {
    name: 'Kafka Connect killed and started again',
    async run({ stack, config }, progress) {
      await stack.connect.kill()
      await progress()
      await stack.connect.start()
      await connectorRuns(stack.connectUrl, config.source.slot)
    },
  },
  {
    // The connector takes a snapshot; what was written meanwhile comes as rows of it, and a deletion not at all.
    name: 'the slot dropped while the connector was stopped',
    async run({ sql, redis, stack, config, orderUrl }, progress) {
      const [gone] = await sql<{ id: string }[]>`select id::text from orders where status = 'CANCELLED' limit 1`
      await fetch(`${orderUrl}/api/orders/${gone?.id}`)
      await waitFor(() => redis.exists(`order:status:${gone?.id}`), {
        what: 'the order that is to go',
        until: (n) => n === 1,
      })
      await stack.connect.kill()
      await waitFor(() => sql`select pg_drop_replication_slot(${config.source.slot})`, { what: 'the slot to be free' })
      await progress()
      await sql`delete from orders where id = ${gone?.id ?? ''}`
      deleted.push(gone?.id ?? '')
      await stack.connect.start()
      await connectorRuns(stack.connectUrl, config.source.slot)
    },
  },
  {
    name: 'the consumers stopped and started again',
    async run({ restart }, progress) {
      await progress()
      await restart()
    },
  },
]

test(
  'distributed: nothing lost, nothing twice, the stock is exact, nothing stale',
  { skip, timeout: WHOLE_MS },
  async (t) => {
    const system = await distributedSystem(t)
    for (const fault of FAULTS) {
      await t.test(`${fault.name}, under load`, async () => {
        const { sql } = system
        const stop = new AbortController()
        const load = ordersComeAndGo(system, stop.signal)
        const count = async (): Promise<number> =>
          (await sql<{ n: number }[]>`select count(*)::int as n from orders`)[0]?.n ?? 0
        const progress = async (orders = 100): Promise<void> => {
          const from = await count()
          await waitFor(async () => (await count()) > from + orders, { what: `${orders} orders`, intervalMs: 50 })
        }
        try {
          await progress()
          await fault.run(system, progress)
          await progress()
        } finally {
          stop.abort()
          await load
        }
        await caughtUp(system, 120_000)
        assert.deepEqual(await copyEvents(system), [], 'no event is on the topic twice')
        await sql`delete from trackops.domain_events where key = any (${deleted})`
        await assertBooksBalance(sql, system.inventorySql, fault.name)
        await caughtUp(system)
        await assertNothingStale(system)
      })
    }
  },
)
