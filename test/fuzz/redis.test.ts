import { test } from 'node:test'

import { runTarget, seedOf } from './run-target.ts'
import { redisStrangers } from './targets/redis-strangers.ts'

const seed = seedOf(process.env['TRACKOPS_FUZZ_SEED'])

test('whatever strangers write into Redis, readers are answered what the database has, and consumers go on', async (t) => {
  await runTarget(t, redisStrangers, { seed, runs: 60 })
})
