import { test } from 'node:test'

import { waitFor } from '../support/wait-for.ts'
import { checkSilence, setStage } from './half-open.ts'

test('what is said to Redis is lost while no connection breaks: all goes on by itself', async (t) => {
  const { system, redis } = await setStage(t)
  const before = redis.connections()
  await checkSilence(system, {
    proxy: redis,
    begin: () => redis.swallow(),
    lasts: () => waitFor(() => redis.connections() > before, { what: 'somebody to lose patience and connect anew' }),
  })
})

test('what is said to Redis is held up for a while: all goes on by itself', async (t) => {
  const { system, redis } = await setStage(t)
  await checkSilence(system, { proxy: redis, begin: () => redis.hold() })
})
