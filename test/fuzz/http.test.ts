import { test } from 'node:test'

import { runTarget, seedOf } from './run-target.ts'
import { consoleServer, httpSocket, inventoryService, orderService } from './targets/http.ts'

const seed = seedOf(process.env['TRACKOPS_FUZZ_SEED'])

test('whatever the order service is asked, it answers, never with 500, and what it refuses has written nothing', async (t) => {
  await runTarget(t, orderService, { seed, runs: 250 })
})

test('whatever the inventory service is asked, it answers, never with 500, and what it refuses has written nothing', async (t) => {
  await runTarget(t, inventoryService, { seed, runs: 250 })
})

test('whatever the console is asked, it answers, never with 500', async (t) => {
  await runTarget(t, consoleServer, { seed, runs: 250 })
})

test('whatever bytes come on a socket of a service, the connection ends, never with 500, and the next client is served', async (t) => {
  await runTarget(t, httpSocket, { seed, runs: 150 })
})
