import { test } from 'node:test'

import { killAndCompare } from './killed.ts'

test('twenty kills at random moments: nothing lost, nothing twice, the stock is exact', async (t) => {
  await killAndCompare(t, 20)
})
