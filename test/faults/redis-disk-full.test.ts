import { type TestContext, test } from 'node:test'

import { defer } from '../support/defer.ts'
import { type TestRedis, testRedis } from '../support/redis.ts'
import { testSystem } from '../support/system.ts'
import { statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
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
  const untilRefused = (): Promise<unknown> =>
    waitFor(async () => (await statusOf(system)).consumers.some(({ reason }) => reason?.includes('MISCONF')), {
      what: 'Redis to refuse writes',
    })
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
})

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
