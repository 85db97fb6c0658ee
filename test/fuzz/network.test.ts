import { test } from 'node:test'

import { runTarget, seedOf } from './run-target.ts'
import { replicationServer } from './targets/replication-server.ts'

const seed = seedOf(process.env['TRACKOPS_FUZZ_SEED'])

test('whatever a server says in place of PostgreSQL, every call ends, by name, and memory follows what has arrived', async (t) => {
  await runTarget(t, replicationServer, { seed, runs: 250 })
})
