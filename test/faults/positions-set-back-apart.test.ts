import { test } from 'node:test'

import { checkPositions } from './positions-set-back.ts'

test('positions set back or lost where invalidator and warmer are apart: what is delivered again has its effect once', async (t) => {
  await checkPositions(t, 'apart')
})
