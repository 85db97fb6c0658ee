import assert from 'node:assert/strict'
import { test } from 'node:test'

import { optionsOf, relationOf } from '../fixtures/build.ts'
import type { Json } from './json-value.ts'
import { createRowDecoder } from './row-decoder.ts'

/** The text that the column has, in a row of the stream that is to be trusted in everything. */
function decode(type: string, json: Json, ...pairs: readonly string[]): string | null | undefined {
  const relation = relationOf({ columns: { id: 'int4', value: type } })
  const decoder = createRowDecoder(relation, optionsOf(...pairs), null)
  return decoder.decode({ id: 1, value: json }, 'all', false)?.texts[1]
}

test('L5: null is NULL, but where Debezium writes it for values that it cannot convert', () => {
  for (const type of ['int4', 'text', 'varbit(2)', 'text[]', 'bit(3)']) assert.equal(decode(type, null), null, type)
  for (const type of ['varbit(1)', 'mood enum[]', 'bit(3)[]', 'bit(1)[]', 'name']) {
    assert.equal(decode(type, null), undefined, type)
  }
})

test('L3: elements that Debezium has cut are no values', () => {
  assert.equal(decode('time[]', [49_890_123_000]), undefined)
  assert.equal(decode('timetz[]', ['11:51:30Z']), undefined)
  assert.equal(decode('time(3)[]', [49_890_123]), '{13:51:30.123}')
})

test('L3: an interval of zero may be an infinite one, which Debezium does not know', () => {
  const mode = 'interval.handling.mode=string'
  assert.equal(decode('interval', 'P0Y0M0DT0H0M0S', mode), undefined)
  assert.equal(decode('interval', 'P0Y0M1DT0H0M0S', mode), '1 day')
})

test('a vector within an array is an element, and no further dimension', () => {
  assert.equal(decode('vector[]', [[1, 2], null]), '{"[1,2]",NULL}')
  assert.equal(decode('float8[]', [[1, 2]]), '{{1,2}}')
})
