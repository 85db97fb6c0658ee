import { test } from 'node:test'

import { runTarget, seedOf } from './run-target.ts'
import { assembler, decoder, framer } from './targets/pgoutput.ts'

const seed = seedOf(process.env['TRACKOPS_FUZZ_SEED'])

test('whatever bytes PostgreSQL sends, frames are cut with a named error or none, and no length is believed before its bytes came', async (t) => {
  await runTarget(t, framer, { seed, runs: 500 })
})

test('whatever a pgoutput message holds, it is decoded, or refused with DECODE', async (t) => {
  await runTarget(t, decoder, { seed, runs: 5000 })
})

test('whatever messages come in whatever order, changes are counted without a hole and held up to the bound', async (t) => {
  await runTarget(t, assembler, { seed, runs: 1500 })
})
