import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { assertTtls } from '../support/order-keys.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { assertEachEventOnce, change } from './orders-and-events.ts'
import { readAndWrite } from './readers-and-writers.ts'

const DAY_MS = 86_400_000

test('a clock that jumps a day forward, and two back, under load: nothing is stale, no figure is absurd', async (t) => {
  const clock = ownClock(t)
  const system = await testSystem(t)
  const { sql, redis } = system
  const watch = await readAndWrite(system, { writerPauseMs: 10 })
  try {
    for (const days of [1, -1, 0]) {
      const [reads, writes] = [watch.reads(), watch.writes()]
      await waitFor(() => watch.reads() > reads + 100 && watch.writes() > writes + 100, { what: 'reads and writes' })
      clock.jumpTo(days)
      await change(sql)
      const id = crypto.randomUUID()
      await sql`insert into orders (id) values (${id})`
      await caughtUp(system)
      await assertTtls(redis, [`order:entity:${id}`, `order:status:${id}`])
      await assertFigures(system)
      // Whoever has to ask the database, and then leaves a mark and an entry.
      await redis.del([`order:entity:${id}`, `order:status:${id}`])
      const response = await fetch(`${system.orderUrl}/api/orders/${id}/status`)
      assert.deepEqual([response.status, response.headers.get('x-cache')], [200, 'miss'])
      await assertTtls(redis, [`order:status:${id}`])
    }
    // Lost writes, a floor and leases, all with the clock a day ahead of where they end.
    clock.jumpTo(1)
    await redis.flushAll()
    clock.jumpTo(-1)
    await waitFor(async () => (await statusOf(system)).cache.isTrusted, { what: 'readers to use Redis' })
  } finally {
    await watch.stop()
  }
  assert.deepEqual(watch.failed.slice(0, 5), [])
  assert.deepEqual(watch.wentBack.slice(0, 5), [])
  await assertEachEventOnce(system)
  await caughtUp(system)
  await assertNothingStale(system)
})

/** The clock of this process, and of nothing else: servers have their own. It runs on from where it has jumped to. */
function ownClock(t: TestContext): { jumpTo(days: number): void } {
  const RealDate = Date
  let offsetMs = 0
  class JumpingDate extends RealDate {
    constructor(...given: unknown[]) {
      super(...((given.length === 0 ? [RealDate.now() + offsetMs] : given) as [number]))
    }
    static override now(): number {
      return RealDate.now() + offsetMs
    }
  }
  globalThis.Date = JumpingDate as DateConstructor
  t.after(() => {
    globalThis.Date = RealDate
  })
  return {
    jumpTo(days) {
      offsetMs = days * DAY_MS
    },
  }
}

async function assertFigures({ consoleUrl }: Pick<TestSystem, 'consoleUrl'>): Promise<void> {
  const { upSeconds, stream, consumers } = await statusOf({ consoleUrl })
  assert.ok(upSeconds >= 0 && upSeconds < 600, `up for ${upSeconds} s`)
  const lags = [stream.captureLagBytes, ...consumers.map(({ consumerLagBytes }) => consumerLagBytes)]
  for (const lag of lags) assert.ok(lag === null || lag >= 0, `a lag of ${lag} bytes`)
  const metrics = await (await fetch(`${consoleUrl}/metrics`)).text()
  const absurd = metrics.split('\n').filter((line) => line.startsWith('cdc_') && !/ \d+(\.\d+)?(e[+-]\d+)?$/.test(line))
  assert.deepEqual(absurd, [])
}
