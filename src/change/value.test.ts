import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parseArrayText } from './array-text.ts'
import { complete, partial, relationOf, typeOf } from './debezium/fixtures/build.ts'
import { type Value, valueOf, valuesOf } from './value.ts'

/** Type, PostgreSQL's text, what a view's function sees. */
const FORMS: readonly (readonly [type: string, text: string | null, value: Value])[] = [
  ['int4', null, null],
  ['bool', 't', true],
  ['bool', 'f', false],
  ['bool', 'true', true],
  ['int2', '-32768', -32768],
  ['int4', '2147483647', 2147483647],
  ['oid', '4294967295', 4294967295],
  ['int8', '9007199254740993', '9007199254740993'],
  ['numeric', '12.50', '12.50'],
  ['numeric', 'NaN', 'NaN'],
  ['money', '$1,234.50', '$1,234.50'],
  ['float8', '0.1', 0.1],
  ['float8', '1e+300', 1e300],
  ['float4', 'NaN', 'NaN'],
  ['float8', '-Infinity', '-Infinity'],
  ['timestamptz', '2026-11-22 18:48:24.123456+00', '2026-11-22T18:48:24.123456Z'],
  ['timestamptz', '2026-11-22 18:48:24.5+00', '2026-11-22T18:48:24.500000Z'],
  ['timestamptz', '2026-11-22 18:48:24+00', '2026-11-22T18:48:24.000000Z'],
  ['timestamptz', '12026-11-22 18:48:24+00', '12026-11-22T18:48:24.000000Z'],
  ['timestamptz', 'infinity', 'infinity'],
  ['timestamptz', '0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00+00 BC'],
  ['timestamp', '2026-11-22 18:48:24.5', '2026-11-22T18:48:24.500000'],
  ['date', '2026-11-22', '2026-11-22'],
  ['interval', '1 day 02:03:04', '1 day 02:03:04'],
  ['json', '{"a": [1, null, "x"]}', { a: [1, null, 'x'] }],
  ['jsonb', 'null', null],
  ['jsonb', '"text"', 'text'],
  ['uuid', '6f1f0c1e-8e5f-4a43-9f0e-4e0f6f0c1e8e', '6f1f0c1e-8e5f-4a43-9f0e-4e0f6f0c1e8e'],
  ['bytea', '\\xdeadbeef', '\\xdeadbeef'],
  ['text', '', ''],
  ['text', 'NULL', 'NULL'],
  ['bpchar(4)', 'ab  ', 'ab  '],
  ['mood enum', 'happy', 'happy'],
  ['int4[]', '{1,NULL,3}', [1, null, 3]],
  ['int4[]', '{}', []],
  ['int8[]', '{9007199254740993}', ['9007199254740993']],
  ['bool[]', '{t,f}', [true, false]],
  ['text[]', '{"a \\"b\\"",NULL,"NULL",""}', ['a "b"', null, 'NULL', '']],
  [
    'int4[]',
    '{{1,2},{3,4}}',
    [
      [1, 2],
      [3, 4],
    ],
  ],
  ['int4[]', '[2:3]={1,2}', [1, 2]],
  ['jsonb[]', '{"{\\"a\\": 1}"}', [{ a: 1 }]],
  ['timestamptz[]', '{"2026-11-22 18:48:24+00"}', ['2026-11-22T18:48:24.000000Z']],
  ['box[]', '{(1,1),(0,0);(3,3),(2,2)}', ['(1,1),(0,0)', '(3,3),(2,2)']],
]

for (const [type, text, value] of FORMS) {
  test(`${type} ${text ?? 'NULL'} is ${JSON.stringify(value)}, and JSON holds it`, () => {
    assert.deepEqual(valueOf(typeOf(type), text), value)
    assert.deepEqual(JSON.parse(JSON.stringify(valueOf(typeOf(type), text))), value)
  })
}

test('a domain reads as the type below it', () => {
  assert.equal(valueOf(typeOf('int4 domain'), '5'), 5)
})

test('L3: a row that lacks a column that was asked for is no row; one that has them all needs no others', () => {
  const relation = relationOf({ columns: { id: 'int4', note: 'text', at: 'timestamptz' } })
  assert.deepEqual(valuesOf(complete(relation, '1', null, '2026-11-22 18:48:24+00'), ['note', 'id']), {
    note: null,
    id: 1,
  })
  assert.equal(valuesOf(partial(relation, '1', undefined), ['id', 'note']), undefined)
  assert.deepEqual(valuesOf(partial(relation, '1', undefined), ['id']), { id: 1 })
  assert.equal(valuesOf(complete(relation, '1', null, null), ['id', 'unknown']), undefined)
})

test('what is not the text form of an array is a SyntaxError, never half an array', () => {
  for (const text of [
    '',
    '{',
    '{1',
    '{1,',
    '{1,}',
    '{,1}',
    '{1}x',
    'x',
    '{"a}',
    '{"a\\',
    '{{1}',
    '[1:2]',
    '{1}{2}',
    '{a"b"}{',
  ]) {
    assert.throws(() => parseArrayText(text), SyntaxError, text)
  }
})

test('whatever the texts are, an array written as PostgreSQL writes it reads back', () => {
  const write = (parts: readonly (string | null)[]): string =>
    `{${parts.map((part) => (part === null ? 'NULL' : `"${part.replaceAll(/["\\]/g, '\\$&')}"`)).join(',')}}`
  fc.assert(
    fc.property(fc.array(fc.option(fc.string({ unit: 'grapheme' }))), (parts) => {
      assert.deepEqual(parseArrayText(write(parts)), parts)
    }),
  )
})

test('an array of a million members is read', () => {
  const text = `{${Array.from({ length: 1_000_000 }, (_, index) => index).join(',')}}`
  assert.equal(parseArrayText(text).length, 1_000_000)
})
