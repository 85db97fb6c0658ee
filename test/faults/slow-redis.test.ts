import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testRedis } from '../support/redis.ts'
import { tcpProxy, through } from '../support/tcp-proxy.ts'
import { testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { assertEachEventOnce, change } from './orders-and-events.ts'
import { readAndWrite } from './readers-and-writers.ts'

/** Readers wait a second for Redis: once within, once beyond. */
const DELAYS_MS = [50, 1_500]

test('a Redis that is slow, or too slow to wait for, holds up no reader for long, and nothing is stale', async (t) => {
  const server = await testRedis(t)
  const proxy = await tcpProxy(t, server.port)
  const system = await testSystem(t, { redis: { ...server, url: through(server.url, proxy) } })
  const cases = DELAYS_MS.map((delayMs) => ({ name: `each reply ${delayMs} ms late, under load`, delayMs }))
  for (const { name, delayMs } of cases) {
    await t.test(name, async () => {
      const watch = await readAndWrite(system, { writerPauseMs: 10 })
      try {
        await waitFor(() => watch.reads() > 100 && watch.writes() > 100, { what: 'reads and writes' })
        proxy.delayReplies(delayMs)
        const [reads, writes, connections] = [watch.reads(), watch.writes(), proxy.connections()]
        await waitFor(() => watch.reads() > reads + 80, { what: 'readers to be answered' })
        // After some seconds a connection that says nothing is given up, and nobody waits for it any more. Before that it
        // costs one of them the wait, not each.
        assert.equal(proxy.connections(), connections, 'readers are answered while nobody has given up the connection')
        await change(system.sql)
        await waitFor(() => watch.writes() > writes + 100, { what: 'more writes' })
        proxy.delayReplies(0)
        await waitFor(async () => (await statusOf(system)).isReady, { what: 'the system to be ready' })
      } finally {
        proxy.delayReplies(0)
        await watch.stop()
      }
      assert.deepEqual(watch.failed.slice(0, 5), [])
      assert.deepEqual(watch.wentBack.slice(0, 5), [])
      await assertEachEventOnce(system)
      await caughtUp(system)
      await assertNothingStale(system)
    })
  }
})
