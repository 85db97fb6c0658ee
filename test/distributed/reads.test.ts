import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readYourWrites } from '../end-to-end/read-your-writes.ts'
import { checkIdle, checkUnderLoad } from '../faults/redis-lost.ts'
import { distributedSystem, WHOLE_MS } from '../support/distributed.ts'
import { whyNoStack } from '../support/stack.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'

const skip = await whyNoStack()

test(
  'distributed: a read that presents the token of a write sees it, and a Redis that lost data is repaired',
  { skip, timeout: WHOLE_MS },
  async (t) => {
    const system = await distributedSystem(t)

    await t.test('1,000 writes, each read back at once with its token: no answer is old', async () => {
      const { writes, old } = await readYourWrites(system, { writes: 1_000, concurrency: 16 })
      assert.ok(writes >= 1_000)
      assert.deepEqual(old, [])
      await caughtUp(system)
      await assertNothingStale(system)
    })

    await t.test('one write at a time on an idle database is read back as well', async () => {
      assert.deepEqual((await readYourWrites(system, { writes: 100, concurrency: 1 })).old, [])
    })

    await checkUnderLoad(t, system, { writerPauseMs: 10 })
    await checkIdle(t, system)
  },
)
