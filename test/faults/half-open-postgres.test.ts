import { test } from 'node:test'

import { checkSilence, setStage } from './half-open.ts'

test('what is said to PostgreSQL is lost while no connection breaks: all goes on by itself', async (t) => {
  const { system, postgres } = await setStage(t)

  await checkSilence(system, { proxy: postgres, begin: () => postgres.swallow() })
})

test('what is said to PostgreSQL is held up for a while: all goes on by itself', async (t) => {
  const { system, postgres } = await setStage(t)
  await checkSilence(system, { proxy: postgres, begin: () => postgres.hold() })
})
