import { test } from 'node:test'

import { runTarget, seedOf } from './run-target.ts'
import { configuration, debeziumOptions, settings } from './targets/configuration.ts'
import { envelope } from './targets/envelope.ts'

const seed = seedOf(process.env['TRACKOPS_FUZZ_SEED'])

test('whatever a record of a change topic holds, it is read, or refused with DECODE', async (t) => {
  await runTarget(t, envelope, { seed, runs: 1500 })
})

test('whatever the configuration holds, it is refused with CONFIG_INVALID, or its views can be compiled', async (t) => {
  await runTarget(t, configuration, { seed, runs: 600 })
})

test('whatever the environment holds, it is refused with CONFIG_INVALID, or clients can be made of it', async (t) => {
  await runTarget(t, settings, { seed, runs: 2000 })
})

test('whatever properties are set for Debezium, they are taken, or refused with USAGE', async (t) => {
  await runTarget(t, debeziumOptions, { seed, runs: 3000 })
})
