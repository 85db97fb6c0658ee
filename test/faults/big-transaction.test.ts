import { test } from 'node:test'

import { passBigTransaction } from './big-transaction.ts'

test('200,000 rows in one transaction and values of 5 MB pass in bounded memory', async (t) => {
  await passBigTransaction(t, 200_000)
})
