import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'

import fc from 'fast-check'

import { backoffDelayMs, pause } from './backoff.ts'

test('pauses double from 100 ms to 30 s, and stay there', () => {
  const delays = [1, 2, 3, 9, 10, 5000].map((failures) => backoffDelayMs(failures, { jitterRatio: 0 }))
  assert.deepEqual(delays, [100, 200, 400, 25_600, 30_000, 30_000])
})

test('chance takes away at most the given share of a pause', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (failures, jitterRatio, chance) => {
        const whole = backoffDelayMs(failures, { jitterRatio: 0 })
        const delay = backoffDelayMs(failures, { jitterRatio, random: () => chance })
        assert.ok(delay <= whole && delay >= Math.floor(whole * (1 - jitterRatio)), `${delay} of ${whole}`)
      },
    ),
  )
})

test('a pause that is aborted ends at once, says so, and leaves no listener', async () => {
  const controller = new AbortController()
  const long = pause(3_600_000, controller.signal)
  controller.abort()
  assert.equal(await long, false)
  assert.equal(await pause(3_600_000, controller.signal), false)

  const other = new AbortController()
  assert.equal(await pause(1, other.signal), true)
  assert.equal(getEventListeners(other.signal, 'abort').length, 0)
})
