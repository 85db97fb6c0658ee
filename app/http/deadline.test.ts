import assert from 'node:assert/strict'
import { test } from 'node:test'

import { withinDeadline } from './deadline.ts'

const LIMITS = { waitMs: 1_000, runMs: 5_000 }
const UNAVAILABLE = { document: { status: 503 } }

test('work that gets no connection in time is given up, and never begins afterwards', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let begin: () => void = () => undefined
  const waiting = withinDeadline(LIMITS, (begins) => {
    begin = begins
    return new Promise<void>(() => undefined)
  })
  t.mock.timers.tick(1_000)
  await rejectsWithStatus503(waiting)
  assert.throws(begin, (error: typeof UNAVAILABLE) => error.document.status === 503)
})

test('work that has begun has more time, but not for ever', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let finish: (value: string) => void = () => undefined
  const work = (begin: () => void) => {
    begin()
    return new Promise<string>((resolve) => (finish = resolve))
  }
  const quick = withinDeadline(LIMITS, work)
  t.mock.timers.tick(4_999)
  finish('done')
  assert.equal(await quick, 'done')
  const slow = withinDeadline(LIMITS, work)
  t.mock.timers.tick(5_000)
  await rejectsWithStatus503(slow)
})

async function rejectsWithStatus503(promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error: typeof UNAVAILABLE) => error.document.status === 503)
}
