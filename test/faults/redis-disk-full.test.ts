import { execFileSync } from 'node:child_process'
import { appendFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { defer } from '../support/defer.ts'
import { type TestRedis, testRedis } from '../support/redis.ts'
import { testSystem } from '../support/system.ts'
import { statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { checkUnderLoad } from './redis-lost.ts'

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
          const free = fill(redisServer.dataDirectory)
          await untilRefused()
          await progress()
          free()
        },
      },
      {
        name: 'its disk full, killed, and started again with room',
        async run({ redisServer }, progress) {
          const free = fill(redisServer.dataDirectory)
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

/** The server's directory becomes a disk of its own, of a few megabytes. Gives why that is not possible here, or null. */
async function onSmallDisk(t: TestContext, redis: TestRedis): Promise<string | null> {
  await redis.stop()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'trackops-test', redis.dataDirectory], { stdio: 'pipe' })
  } catch (error) {
    return `no disk of its own may be mounted: ${error instanceof Error ? error.message.trim() : ''}`
  }
  defer(t, async () => {
    await redis.kill()
    execFileSync('umount', [redis.dataDirectory])
  })
  await redis.start()
  return null
}

/** Takes all the room that there is. Gives what makes room again. */
function fill(directory: string): () => void {
  const ballast = join(directory, 'ballast')
  for (let bytes = 1024 * 1024; bytes >= 1;) {
    try {
      appendFileSync(ballast, Buffer.alloc(bytes))
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
      bytes >>= 1
    }
  }
  return () => rmSync(ballast)
}
