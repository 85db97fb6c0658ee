import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { amountOf, centsOf, MAX_CENTS } from './money.ts'

test('an amount survives as text and as a JSON number, to the cent', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: MAX_CENTS }), (cents) => {
      const text = amountOf(cents)
      assert.equal(centsOf(text), cents)
      assert.equal(centsOf(JSON.parse(text) as number), cents)
    }),
  )
})

test('what is no amount with at most two decimals is none', () => {
  const wrong = [
    '',
    '-1',
    '1.',
    '.5',
    '1.234',
    '1e3',
    ' 1',
    '١',
    'NaN',
    '10000000000',
    0.1 + 0.2,
    1e21,
    -1,
    NaN,
    Infinity,
  ]
  for (const amount of wrong) assert.equal(centsOf(amount), undefined, String(amount))
})

test('whole and short amounts are read in full', () => {
  assert.equal(centsOf('12'), 1200n)
  assert.equal(centsOf('12.5'), 1250n)
  assert.equal(centsOf(-0), 0n)
  assert.equal(amountOf(5n), '0.05')
})
