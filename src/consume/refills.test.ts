import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { RefillKey } from '../cache/protocol.ts'
import { SILENT } from '../runtime/logger.ts'
import { createRefills } from './refills.ts'
import { createTurns } from '../runtime/turns.ts'

const keys = (count: number): readonly RefillKey[] => Array.from({ length: count }, () => ({}) as RefillKey)

test('refills run one after the other; where too many wait, the stream waits too', async () => {
  const open: (() => void)[] = []
  const sizes: number[] = []
  const refill = (some: readonly RefillKey[]): Promise<void> => {
    sizes.push(some.length)
    return new Promise((resolve) => open.push(resolve))
  }
  const refills = createRefills({ refill, log: SILENT }, new AbortController().signal)
  refills.add(keys(4_000))
  await refills.room()
  refills.add(keys(2_000))
  let hasRoom = false
  const room = refills.room().then(() => (hasRoom = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([sizes, hasRoom], [[4_000], false])
  open.shift()?.()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(sizes, [4_000, 2_000])
  open.shift()?.()
  await room
})

test('a refill that fails leaves its keys absent, and the next ones are filled', async () => {
  const filled: number[] = []
  const refill = (some: readonly RefillKey[]): Promise<void> => {
    if (some.length === 6_000) return Promise.reject(new Error('no'))
    filled.push(some.length)
    return Promise.resolve()
  }
  const refills = createRefills({ refill, log: SILENT }, new AbortController().signal)
  refills.add(keys(6_000))
  refills.add(keys(1))
  await refills.room()
  await refills.idle()
  assert.deepEqual(filled, [1])
})

test('after the signal what still waits is dropped', async () => {
  const aborter = new AbortController()
  let calls = 0
  const refills = createRefills({ refill: () => Promise.resolve(void calls++), log: SILENT }, aborter.signal)
  refills.add(keys(1))
  aborter.abort()
  await refills.idle()
  assert.equal(calls, 0)
})

test('turns are taken in order, and one that fails leaves the next its own', async () => {
  const inTurn = createTurns()
  const log: string[] = []
  const first = inTurn(async () => {
    log.push('first begins')
    await new Promise((resolve) => setImmediate(resolve))
    log.push('first ends')
    throw new Error('no')
  })
  const second = inTurn(() => {
    log.push('second')
    return Promise.resolve(2)
  })
  await assert.rejects(first, /no/)
  assert.equal(await second, 2)
  assert.deepEqual(log, ['first begins', 'first ends', 'second'])
})
