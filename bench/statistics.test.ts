import assert from 'node:assert/strict'
import { test } from 'node:test'

import { figure, median, quantilesOf, spread } from './statistics.ts'

test('a quantile is a value that was measured, the greatest of them at the end', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index)
  assert.deepEqual(quantilesOf(values), { p50Ms: 50, p99Ms: 99, maxMs: 100 })
  assert.deepEqual(quantilesOf([7]), { p50Ms: 7, p99Ms: 7, maxMs: 7 })
})

test('rounds are told by their median, the least and the greatest; one round by itself', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.equal(spread([30, 10, 20]), '20 (10 to 30)')
  assert.equal(spread([1234.5]), '1,235')
  assert.equal(figure(0.123), '0.12')
  assert.equal(figure(12.34), '12.3')
})
