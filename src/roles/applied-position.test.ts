import assert from 'node:assert/strict'
import { test } from 'node:test'

import { waitFor } from '../../test/support/wait-for.ts'
import { lsn } from '../consume/change-fixture.ts'
import { createAppliedPosition } from './applied-position.ts'

const never = (): AbortSignal => new AbortController().signal

test('L7: who waits is woken when the position is reached, not before, and at once if it was', async () => {
  const applied = createAppliedPosition(() => undefined)
  const done: number[] = []
  const waiting = [10, 20].map((number) => applied.waitFor(lsn(number), never()).then(() => done.push(number)))
  applied.advance(lsn(9))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(done, [])
  applied.advance(lsn(15))
  await waiting[0]
  assert.deepEqual(done, [10])
  applied.advance(lsn(20))
  await Promise.all(waiting)
  assert.equal(await applied.waitFor(lsn(12), AbortSignal.abort()), true)
})

test('of two consumers that are apart the one ahead counts: nothing older than what it has processed is cached', async () => {
  const applied = createAppliedPosition(() => undefined)
  applied.advance(lsn(20))
  applied.advance(lsn(10))
  assert.equal(applied.lsn(), lsn(20))
  assert.equal(await applied.waitFor(lsn(15), AbortSignal.abort()), true)
})

test('the signal ends the wait with false', async () => {
  const applied = createAppliedPosition(() => undefined)
  const aborter = new AbortController()
  const waiting = applied.waitFor(lsn(10), aborter.signal)
  aborter.abort()
  assert.equal(await waiting, false)
  assert.equal(await applied.waitFor(lsn(10), aborter.signal), false)
})

test('on an idle database the server is asked as long as somebody waits, and then no more', async () => {
  let asked = 0
  const applied = createAppliedPosition(() => asked++)
  const waiting = [applied.waitFor(lsn(10), never()), applied.waitFor(lsn(10), never())]
  await waitFor(() => asked >= 3, { what: 'three questions' })
  applied.advance(lsn(10))
  await Promise.all(waiting)
  const before = asked
  // That nothing happens can only be watched for a while: longer than the longest pause between questions.
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(asked, before)
  const again = applied.waitFor(lsn(20), never())
  await waitFor(() => asked > before, { what: 'it to ask again' })
  applied.advance(lsn(20))
  assert.equal(await again, true)
})

test('after a reset nothing is reached', async () => {
  const applied = createAppliedPosition(() => undefined)
  applied.advance(lsn(20))
  applied.reset()
  assert.equal(applied.lsn(), null)
  assert.equal(await applied.waitFor(lsn(1), AbortSignal.abort()), false)
  applied.advance(lsn(5))
  assert.equal(applied.lsn(), lsn(5))
})
