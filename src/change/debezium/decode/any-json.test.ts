import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { relationOf } from '../fixtures/build.ts'
import { decode, envelopeOf, isDecodeError } from '../fixtures/raw.ts'

test('whatever JSON a column has, in every mode, the only error is one that names itself', () => {
  const types = (
    'bool int2 int8 oid float4 float8 numeric numeric(9,2) money text jsonb uuid bytea date time time(3) timetz ' +
    'timestamp timestamptz(3) interval bit(1) bit(9) varbit inet tstzrange point hstore geometry vector(3) sparsevec ' +
    'circle never_heard_of int8[] text[] numeric[] timestamp[] hstore[] bytea[]'
  ).split(' ')
  const modes = [
    [],
    ['decimal.handling.mode=string', 'time.precision.mode=isostring', 'interval.handling.mode=string'],
    ['decimal.handling.mode=double', 'time.precision.mode=nanoseconds', 'binary.handling.mode=hex'],
    ['time.precision.mode=connect', 'include.unknown.datatypes=true', 'hstore.handling.mode=map'],
  ]
  const odd = fc.constantFrom<unknown>(1e300, -1e18, 2 ** 53, 'AA==', '', '{}', 'P', { scale: -5, value: 'AA==' }, [
    [1],
  ])
  const json = fc.oneof(fc.jsonValue(), odd, fc.array(odd))
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.constantFrom(...modes), json, (type, pairs, value) => {
      const relation = relationOf({ key: [], columns: { v: type } })
      try {
        const event = decode(envelopeOf('c', 'null', JSON.stringify({ v: value })), relation, ...pairs)
        assert.ok(event.op === 'c')
        assert.ok(['string', 'undefined'].includes(typeof event.after.texts[0]) || value === null)
      } catch (error) {
        if (!isDecodeError(error)) throw error
      }
    }),
    { numRuns: 3000 },
  )
  const deep = `{"v":${'['.repeat(100_000)}9007199254740993${']'.repeat(100_000)}}`
  for (const type of ['int8[]', 'text[]', 'numeric']) {
    const relation = relationOf({ columns: { v: type } })
    assert.throws(() => decode(envelopeOf('c', 'null', deep), relation), isDecodeError, type)
  }
})
