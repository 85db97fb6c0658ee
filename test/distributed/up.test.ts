import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { defer } from '../support/defer.ts'
import { WHOLE_MS } from '../support/distributed.ts'
import { freePort } from '../support/free-port.ts'
import { descendantsOf, upSite } from '../support/process.ts'
import { whyNoStack } from '../support/stack.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { eventsOf } from './topic-events.ts'

const skip = await whyNoStack()
const LARGE = 5_000_000

test(
  'distributed `up` brings everything along, and carries on after kill -9: nothing lost, no event twice, exit 0',
  { skip, timeout: WHOLE_MS },
  async (t) => {
    const site = await upSite(t)
    const ports = [await freePort(), await freePort(), await freePort()] as const
    const kafka = { brokers: [`127.0.0.1:${ports[0]}`] }
    const env = {
      TRACKOPS_MODE: 'distributed',
      TRACKOPS_KAFKA_PORT: String(ports[0]),
      TRACKOPS_KAFKA_CONTROLLER_PORT: String(ports[1]),
      TRACKOPS_CONNECT_PORT: String(ports[2]),
    }
    const judged = { ...site, kafka }
    const first = site.up(env)
    await first.ready()
    const sql = createPostgresPool(site.urls.source, { applicationName: 'up-test' })
    defer(t, () => sql.end({ timeout: 1 }))
    const insert = async (count: number): Promise<void> => {
      await sql`insert into orders (customer_id, total_amount) select gen_random_uuid(), n from generate_series(1, ${count}) n`
    }
    const events = async (): Promise<readonly string[]> =>
      (await eventsOf(kafka, 'order-events')).map(({ eventId }) => eventId)
    await insert(100)
    await waitFor(async () => (await events()).length === 100, { what: 'the events' })

    await insert(300)
    const everything = await descendantsOf(first.pid)
    await first.end('SIGKILL')
    // What it has started may live on; the next one finds it, or it is as when the machine went down.
    for (const pid of everything.slice(0, Math.floor(everything.length / 2))) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // Gone with its parent.
      }
    }

    const second = site.up(env)
    await second.ready()
    await insert(100)
    const [large] = await sql<{ id: string }[]>`
    insert into orders (delivery_instructions) values (repeat('x', ${LARGE})) returning id::text`
    await waitFor(async () => (await events()).length >= 501, { what: 'all events' })
    const ids = await events()
    assert.equal(ids.length, 501)
    assert.equal(new Set(ids).size, 501)
    const order = await fetch(`${site.orderUrl}/api/orders/${large?.id}`)
    assert.equal(((await order.json()) as { deliveryInstructions: string }).deliveryInstructions.length, LARGE)
    await caughtUp(judged)
    await waitFor(
      async () => (await statusOf(site)).consumers.every(({ consumerLagMessages }) => consumerLagMessages === 0),
      { what: 'no lag' },
    )
    const report = await assertNothingStale(judged)
    // Those of the 300 that were being filled when the process was killed stay absent until somebody asks for them.
    const unhurt = 2 * (100 + 100 + 1)
    assert.ok(report.checkedKeys >= unhurt, `policy all has warmed ${report.checkedKeys} keys`)
    const left = await descendantsOf(second.pid)
    const ended = await second.end('SIGTERM')
    assert.equal(ended.exitCode, 0, ended.stderr)
    for (const pid of left) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  },
)
