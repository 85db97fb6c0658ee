import { test } from 'node:test'

import { runTarget, seedOf } from './run-target.ts'
import { domainEvents } from './targets/domain-events.ts'

const seed = seedOf(process.env['TRACKOPS_FUZZ_SEED'])

test('whatever event a stranger writes, the services go on, and what is reserved is what the reservations say', async (t) => {
  await runTarget(t, domainEvents, { seed, runs: 120 })
})
