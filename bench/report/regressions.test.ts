import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Baseline, notMeasured, regressions } from './regressions.ts'

const BASELINE: Baseline = {
  measuredAt: '2026-01-01T00:00:00.000Z',
  ratios: { drain: 4, reads: 0.2, kafka: 2 },
}

test('a ratio beyond the factor is a regression, and the line says what it was and what it may be', () => {
  assert.deepEqual(regressions(BASELINE, { drain: 6.1, reads: 0.2, kafka: 2 }, 1.5), [
    'drain: 6.10, was 4.00, may be 6.00',
  ])
  assert.equal(regressions(BASELINE, { drain: 9, reads: 0.31, kafka: 3.1 }, 1.5).length, 3)
})

test('noise within the factor is none, nor is what has become better, nor what is new', () => {
  assert.deepEqual(regressions(BASELINE, { drain: 6, reads: 0.3, kafka: 0.1, other: 100 }, 1.5), [])
})

test('a ratio that could not be computed is a regression; what was not measured is told apart', () => {
  const ratios = { drain: Number.NaN, reads: 0.2 }
  assert.equal(regressions(BASELINE, ratios).length, 1)
  assert.match(regressions(BASELINE, ratios)[0] ?? '', /^drain: NaN/)
  assert.deepEqual(notMeasured(BASELINE, ratios), ['kafka'])
})
