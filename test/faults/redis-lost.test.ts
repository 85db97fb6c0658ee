import { test } from 'node:test'

import { testSystem } from '../support/system.ts'
import { checkIdle, checkUnderLoad } from './redis-lost.ts'

test('L2, L6: a Redis that loses its data, or does not answer, is repaired under load', async (t) => {
  await checkUnderLoad(t, await testSystem(t))
})

test('L2: a Redis that loses its data is repaired on an idle database', async (t) => {
  await checkIdle(t, await testSystem(t))
})
