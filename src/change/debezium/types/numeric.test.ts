import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { numericScale, unscaled, unscaledBase64 } from './numeric.ts'

/** As java.math.BigInteger(byte[]) reads them. */
function decode(base64: string): bigint {
  const bytes = Buffer.from(base64, 'base64')
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
}

test('an unscaled value reads back as itself, from no byte more than it needs', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }), (value) => {
      const base64 = unscaledBase64(value)
      assert.equal(decode(base64), value)
      const bits = BigInt(Buffer.from(base64, 'base64').length * 8)
      if (bits > 8n) assert.notEqual(BigInt.asIntN(Number(bits - 8n), value), value)
    }),
  )
})

test('a text at its own scale, or at a larger one, keeps its value', () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.nat(30), fc.nat(10), (value, scale, more) => {
      const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
      const at = digits.length - scale
      const text = `${value < 0n ? '-' : ''}${digits.slice(0, at)}${scale > 0 ? `.${digits.slice(at)}` : ''}`
      assert.equal(unscaled(text, scale), value)
      assert.equal(unscaled(text, scale + more), value * 10n ** BigInt(more))
    }),
  )
})

test('a smaller scale rounds half away from zero', () => {
  assert.equal(unscaled('1.25', 1), 13n)
  assert.equal(unscaled('-1.25', 1), -13n)
  assert.equal(unscaled('1.24', 1), 12n)
  assert.equal(unscaled('0.05', 0), 0n)
  assert.equal(unscaled('0.5', 0), 1n)
  assert.equal(unscaled('1200', -2), 12n)
})

test('a modifier holds the scale in 11 bits, with its sign', () => {
  const modifier = (precision: number, scale: number): number => ((precision << 16) | (scale & 0x7ff)) + 4
  for (const scale of [0, 2, 1000, -2, -1000]) assert.equal(numericScale(modifier(5, scale)), scale)
})
