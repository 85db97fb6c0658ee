/** Consumers of topics, killed on either side of their effects. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import config from '../../trackops.config.ts'
import { installConnector } from '../../src/roles/distributed/install-connector.ts'
import { prepareDatabases } from '../../src/roles/prepare-databases.ts'
import { bringsRows, callOf, killAt, killSite, type KillSite, type Point, runs, TO } from '../faults/kill-points.ts'
import { WHOLE_MS } from '../support/distributed.ts'
import { freePort } from '../support/free-port.ts'
import { gate } from '../support/gate.ts'
import { ownStack, whyNoStack } from '../support/stack.ts'
import { waitFor } from '../support/wait-for.ts'
import { kafkaRequests } from '../support/wire-messages.ts'

const skip = await whyNoStack()
const ROOT = new URL('../../', import.meta.url).pathname
/** Commits or aborts a producer's transaction. */
const END_TXN = 26

test(
  'a consumer of topics killed on either side of its effect: nothing is lost, stale or on the topic twice',
  { skip, timeout: WHOLE_MS },
  async (t) => {
    const { site, broker } = await distributedSite(t)
    const points: readonly Point[] = [
      {
        name: 'the invalidator, when Redis has done its call and not answered',
        reach: (at) => stopBehindCall(at, 'i'),
      },
      {
        name: 'the warmer, when Redis has done its call and not answered',
        reach: (at) => stopBehindCall(at, 'w'),
      },
      {
        name: 'the event consumer, when its transaction is begun and not committed',
        async reach({ changeOrders }) {
          const stopped = broker.stop('before', ({ apiKey }) => apiKey === END_TXN)
          await changeOrders()
          await stopped
        },
      },
      {
        name: 'the event consumer, when its transaction is committed and it does not know',
        async reach({ changeOrders }) {
          const stopped = broker.stop('behind', ({ apiKey }) => apiKey === END_TXN)
          await changeOrders()
          await stopped
        },
      },
    ]
    for (const point of points) {
      await t.test(point.name, async () => {
        await killAt(site, point)
      })
    }
  },
)

async function stopBehindCall({ gates, redis, changeOrders }: KillSite, role: 'i' | 'w'): Promise<void> {
  const stopped = gates.redis.stop('behind', runs('apply', bringsRows(role)))
  await changeOrders()
  const { keys, args } = callOf(await stopped)
  const position = keys[role === 'i' ? 0 : 1] ?? assert.fail()
  await waitFor(async () => (await redis.get(position)) === args[TO], { what: 'the call to be done' })
}

/** The broker has two doors, the connector's own, and one that leads through a gate. */
async function distributedSite(t: TestContext) {
  const port = await freePort()
  const broker = await gate(t, port, kafkaRequests)
  const stack = await ownStack(t, {
    connectSettings: { 'offset.flush.interval.ms': '100' },
    listeners: [{ name: 'GATED', protocol: 'PLAINTEXT', port }],
    kafkaSettings: (own) => ({
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${own},GATED://127.0.0.1:${broker.port}`,
    }),
  })
  const site = await killSite(t, { stack, gatedBroker: `127.0.0.1:${broker.port}` })
  const loaded = { config, directory: ROOT, file: `${ROOT}trackops.config.ts` }
  await prepareDatabases(loaded, (name) => (name === 'source' ? site.sql : site.inventorySql))
  await installConnector({
    config,
    kafka: stack,
    connectUrl: stack.connectUrl,
    sourceUrl: site.sourceUrl,
    partitions: 2,
    properties: { 'heartbeat.interval.ms': '200', 'poll.interval.ms': '10' },
    signal: AbortSignal.timeout(120_000),
  })
  return { site, broker }
}
