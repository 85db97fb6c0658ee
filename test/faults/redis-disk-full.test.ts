import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { defer } from '../support/defer.ts'
import { type TestRedis, testRedis } from '../support/redis.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { change } from './orders-and-events.ts'
import { checkUnderLoad } from './redis-lost.ts'
import { fillDisk, mountSmallDisk } from './small-disk.ts'

test('a Redis whose disk is full, and has room again: all goes on by itself, and nothing is stale', async (t) => {
  const redis = await testRedis(t)
  const refused = await onSmallDisk(t, redis)
  if (refused !== null) {
    t.skip(refused)
    return
  }
  const system = await testSystem(t, { redis })
  const untilRefused = (write?: () => Promise<void>): Promise<unknown> =>
    waitFor(
      async () => {
        await write?.()
        return (await statusOf(system)).consumers.some(({ reason }) => reason?.includes('MISCONF'))
      },
      { what: 'Redis to refuse writes' },
    )
  await checkUnderLoad(t, system, {
    writerPauseMs: 10,
    faults: [
      {
        name: 'its disk full, and no longer',
        async run({ redisServer }, progress) {
          const free = fillDisk(redisServer.dataDirectory)
          await untilRefused()
          await progress()
          free()
        },
      },
      {
        name: 'its disk full, killed, and started again with room',
        async run({ redisServer }, progress) {
          const free = fillDisk(redisServer.dataDirectory)
          await untilRefused()
          await progress()
          await redisServer.kill()
          free()
          await progress()
          await redisServer.start()
        },
      },
    ],
  })

  // Under load one doubt follows the other, and no look at Redis passes anyway: here readers are few.
  await t.test('its disk full, and few readers: no answer is taken back', async () => {
    const id = crypto.randomUUID()
    const read = async (order: string): Promise<string | undefined> =>
      ((await (await fetch(`${system.orderUrl}/api/orders/${order}/status`)).json()) as { status?: string }).status
    await system.sql`insert into orders (id, status) values (${id}, 'BEFORE')`
    await caughtUp(system)
    const free = fillDisk(system.redisServer.dataDirectory)
    try {
      // The last page of Redis's file has room still.
      await untilRefused(() => change(system.sql))
      await system.sql`update orders set status = 'AFTER' where id = ${id}`
      // Readers hear of it by what is not there.
      await read(crypto.randomUUID())
      assert.equal(await read(id), 'AFTER')
      const answers = new Set<string | undefined>()
      const looks = await looksOf(system)
      await waitFor(
        async () => {
          answers.add(await read(id))
          return (await looks()) >= 3
        },
        { what: 'readers to look at Redis' },
      )
      assert.deepEqual([...answers], ['AFTER'])
    } finally {
      free()
    }
    await caughtUp(system)
  })
})

/** Gives how often readers have looked at Redis since: each look asks twice for INFO. */
async function looksOf({ redis }: TestSystem): Promise<() => Promise<number>> {
  let own = 0
  const asked = async (): Promise<number> => {
    own++
    return Number(/^cmdstat_info:calls=(\d+)/m.exec(await redis.info('commandstats'))?.[1] ?? 0) - own
  }
  const before = await asked()
  return async () => ((await asked()) - before) / 2
}

/** Gives why its directory may not become a disk of its own here, or null. */
async function onSmallDisk(t: TestContext, redis: TestRedis): Promise<string | null> {
  await redis.stop()
  const disk = mountSmallDisk(redis.dataDirectory, '8m')
  if ('refused' in disk) return disk.refused
  defer(t, async () => {
    await redis.kill()
    disk.unmount()
  })
  await redis.start()
  return null
}
