import assert from 'node:assert/strict'
import { test } from 'node:test'

import { optionsOf, typeOf } from '../../fixtures/build.ts'
import { mode, roundTrip } from '../../fixtures/round-trip.ts'
import type { Json } from '../json-value.ts'
import { compileTypeDecoder } from './compile-type.ts'

test('a value that Debezium has rounded, shifted or cut is unknown, never another value', () => {
  const cases: readonly (readonly [type: string, text: string, ...pairs: string[]])[] = [
    ['interval', '1 day'],
    ['timetz', '13:51:30.123789+02'],
    ['timetz', '13:51:30+00'],
    ['time', '13:51:30.123456', mode('connect')],
    ['timestamp', '2016-11-04 13:51:30.123456', mode('connect')],
    ['timestamp(6)', '2016-11-04 13:51:30', mode('connect')],
    ['varbit', '0101'],
    ['varbit(8)', '0101'],
    ['varbit(1)', '0'],
    ['numeric(5,-2)', '1200'],
    ['numeric(5,-2)', '1200', 'decimal.handling.mode=string'],
    ['tstzrange', '["2017-06-05 07:29:12.549426-04",)'],
    ['int4[]', '{NULL,NULL}'],
    ['money', '$123.45', 'money.fraction.digits=1'],
  ]
  for (const [type, text, ...pairs] of cases) {
    assert.equal(roundTrip(type, text, ...pairs), undefined, `${type} ${text} ${pairs.join(' ')}`)
  }
  // Two dimensions, as the connector itself has them.
  const decode = (type: string, json: Exclude<Json, null>) =>
    compileTypeDecoder(typeOf(type), optionsOf(), null).decode(json)
  assert.equal(decode('int4[]', [null, null]), undefined)
  assert.equal(decode('text[]', ['[Ljava.lang.String;@5e91993f', '[Ljava.lang.String;@1c4af82c']), undefined)
})

test('JSON of another type than the column has is refused, without the value', () => {
  const cases: readonly (readonly [string, Exclude<Json, null>, ...string[]])[] = [
    ['int4', 'secret'],
    ['int4', 1.5],
    ['int4', true],
    ['bool', 1],
    ['text', 1],
    ['text', { a: 'secret' }],
    ['float8', 'secret'],
    ['numeric(10,2)', '12.34'],
    ['numeric(10,2)', 'BNI=', 'decimal.handling.mode=string'],
    ['numeric', { scale: 1e9, value: 'BNI=' }],
    ['numeric', { scale: 2, value: '' }],
    ['numeric', [1]],
    ['money', true],
    ['bytea', 'not base64!'],
    ['bytea', '0g', 'binary.handling.mode=hex'],
    ['date', 'secret'],
    ['date', 1e12],
    ['time', -1],
    ['time', 86_400_000_001],
    ['timestamp', 'secret'],
    ['timestamp', 9.3e18],
    ['timestamptz', 1],
    ['timetz', 'secret'],
    ['interval', 'secret'],
    ['bit(2)', '//8='],
    ['bit(1)', 'secret'],
    ['int4[]', 'secret'],
    ['int4[]', ['secret']],
    ['hstore', 'secret'],
    ['hstore', { a: 1 }],
    ['point', 'secret'],
    ['geometry', 'secret'],
    ['vector(3)', 'secret'],
    ['sparsevec', {}],
  ]
  for (const [type, json, ...pairs] of cases) {
    const decoder = compileTypeDecoder(typeOf(type), optionsOf(...pairs), null)
    assert.throws(() => decoder.decode(json), SyntaxError, `${type} ${JSON.stringify(json)}`)
  }
})

test('a type that is new to us: a string is its text, bytes are with include.unknown.datatypes', () => {
  const decode = (json: Exclude<Json, null>, ...pairs: string[]) => {
    return compileTypeDecoder(typeOf('never_heard_of'), optionsOf(...pairs), null).decode(json)
  }
  assert.equal(decode('abcd'), 'abcd')
  assert.equal(decode(7), undefined)
  assert.equal(decode('YWJjZA==', 'include.unknown.datatypes=true'), 'abcd')
})
