import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { javaDouble, jsonString, jsonStringInText } from './json-text.ts'

test('doubles are written the Java way: always with a fraction, exponents from 1.0E7 and below 1.0E-3', () => {
  const cases: readonly (readonly [number, string])[] = [
    [3, '3.0'],
    [0, '0.0'],
    [-0, '-0.0'],
    [1e10, '1.0E10'],
    [1e-10, '1.0E-10'],
    [1e7, '1.0E7'],
    [9_999_999, '9999999.0'],
    [12_345_678, '1.2345678E7'],
    [0.001, '0.001'],
    [0.0015, '0.0015'],
    [0.0009, '9.0E-4'],
    [-0.25, '-0.25'],
    [10.5, '10.5'],
    [100, '100.0'],
    [1.234_567_890_123_456_8e29, '1.2345678901234568E29'],
    [Number.MIN_VALUE, '4.9E-324'],
    [Number.MAX_VALUE, '1.7976931348623157E308'],
    [2e23, '2.0E23'],
    [Number.NaN, '"NaN"'],
    [Number.POSITIVE_INFINITY, '"Infinity"'],
    [Number.NEGATIVE_INFINITY, '"-Infinity"'],
  ]
  for (const [value, expected] of cases) assert.equal(javaDouble(value), expected)
})

test('real columns keep the shortest float32 form', () => {
  assert.equal(javaDouble(Number('0.1'), true), '0.1')
  assert.equal(javaDouble(Number('123456.79'), true), '123456.79')
  assert.equal(javaDouble(Number('3.4028235e+38'), true), '3.4028235E38')
  assert.equal(javaDouble(Number('1e-45'), true), '1.4E-45')
})

test('every finite double reads back as itself', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      assert.ok(Object.is(Number(javaDouble(value)), value))
      assert.match(javaDouble(value), /^-?\d+\.\d+(E-?\d+)?$/)
    }),
  )
})

test('strings escape quotes, backslashes, control characters and what lies beyond the BMP, and nothing else', () => {
  assert.equal(jsonString('a"b\\c/\u007f\u2028é日'), '"a\\"b\\\\c/\u007f\u2028é日"')
  assert.equal(jsonString('\n\r\t\b\f\u001f\u0001'), '"\\n\\r\\t\\b\\f\\u001F\\u0001"')
  assert.equal(jsonString('😀'), '"\\uD83D\\uDE00"')
})

test('a string within a JSON document that is itself a string keeps its characters raw', () => {
  assert.equal(jsonStringInText('😀"\n'), '"😀\\"\\n"')
})

test('a JSON parser reads every string back', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(JSON.parse(jsonString(text)), text)))
})
