import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { TrackOpsError } from '../../src/runtime/errors.ts'
import { type FuzzTarget, type OpenTarget, refusesOnly } from './fuzz-target.ts'
import { asBytes, mutatedBytes, mutatedJson } from './mutate.ts'
import { runTarget, seedOf } from './run-target.ts'

const target = (
  check: (input: Buffer) => Promise<void> | void,
  inputs: OpenTarget['inputs'] = fc.constant(Buffer.from('x')),
): FuzzTarget => ({
  name: 'nothing',
  open: () => ({ inputs, check, hangMs: 50 }),
})

test('a promise that breaks is red, with the seed and the input that broke it', async (t) => {
  const breaks = target((input) => assert.ok(input.length < 3), mutatedBytes([Buffer.from('abc')]))
  await assert.rejects(runTarget(t, breaks, { seed: 7 }), /--seed 7 nothing\n.*base64/)
})

test('an input of which nothing comes is red', async (t) => {
  const hangs = target(() => new Promise<void>(() => undefined))
  await assert.rejects(runTarget(t, hangs, { seed: 7 }), (error: Error) => /nothing came/.test(String(error.cause)))
})

test('only the errors that were named are a refusal', () => {
  const refuse = (code: TrackOpsError['code']) => () => {
    throw new TrackOpsError(code, 'no')
  }
  assert.equal(refusesOnly(['DECODE'], refuse('DECODE')), undefined)
  assert.throws(() => refusesOnly(['DECODE'], refuse('USAGE')), { code: 'USAGE' })
  assert.throws(() => refusesOnly(['DECODE'], () => Buffer.alloc(0).readInt8(0)), RangeError)
})

test('a seed is what it says, and the same seed makes the same inputs', () => {
  assert.equal(seedOf(undefined), seedOf(''))
  assert.equal(seedOf('7'), 7)
  assert.throws(() => seedOf('x'))
  const draw = (): string[] =>
    fc.sample(asBytes(mutatedJson([{ a: [1, { b: 'c' }] }])), { seed: 7, numRuns: 50 }).map(String)
  assert.deepEqual(draw(), draw())
  assert.ok(new Set(draw()).size > 20, 'mutations change something')
})
