import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testPostgres } from '../../../../test/support/postgres.ts'
import { roundTrip } from '../fixtures/round-trip.ts'

/** [type, an expression over the series `i`, properties...] */
const EXPRESSIONS: readonly (readonly [type: string, expression: string, ...pairs: string[]])[] = [
  ['float8', '(random() - 0.5) * 10.0 ^ (i % 40 - 20)'],
  ['float8', '(10.0 ^ (i % 40 - 20))::float8'],
  ['float8', '(random() * 1e16)::int8::float8'],
  ['float4', '((random() - 0.5) * 10.0 ^ (i % 60 - 30))::float4'],
  ['float4', '(2.0 ^ (i % 250 - 125))::float4'],
  ['float4', '((10.0 ^ (i % 40 - 20))::float4)'],
  ['numeric(20,6)', '((random() - 0.5) * 1e12)::numeric(20,6)'],
  ['numeric(20,6)', '((random() - 0.5) * 1e12)::numeric(20,6)', 'decimal.handling.mode=string'],
  ['numeric', '((random() - 0.5) * 10.0 ^ (i % 40 - 20))::numeric', 'decimal.handling.mode=string'],
  ['money', '((random() - 0.5) * 10 ^ (i % 14))::numeric::money'],
  ['date', "date '4714-11-24 BC' + (i * 8000)"],
  ['date', "date '1970-01-01' + (i - 150)"],
  ['timestamp', "timestamp '0044-03-15 12:00:00 BC' + i * interval '31 days 01:02:03.000401'"],
  ['timestamp', "timestamp '1969-12-31 23:59:59.9999' + i * interval '1 microsecond'"],
  ['timestamp(3)', "(timestamp '1969-12-31' + i * interval '11 days 00:00:00.057')::timestamp(3)"],
  ['timestamptz', "timestamptz '0044-03-15 12:00:00+00 BC' + i * interval '131 days 01:02:03.0004'"],
  ['time', "time '00:00' + i * interval '00:04:44.0101'"],
  [
    'interval',
    'make_interval(years => i % 3 - 1, months => i % 5 - 2, days => i % 7 - 3, secs => (i % 11 - 5) * 1234.5678)',
    'interval.handling.mode=string',
  ],
  ['bytea', "decode(md5(i::text), 'hex')"],
  ['bit(9)', '(i % 512)::bit(9)'],
  ['text[]', `array[chr(i), null, 'a' || chr(i % 128 + 1) || 'b', '', 'null', '"\\']`],
  ['int8[]', 'array[9223372036854775807 - i, i, null]'],
  ['timestamp[]', "array[timestamp '2026-11-22 18:48:24.5' + i * interval '1 hour']"],
  ['numeric[]', 'array[i / 8.0::numeric]', 'decimal.handling.mode=string'],
  ['bytea[]', "array[decode(md5(i::text), 'hex'), '']"],
  ['jsonb', `jsonb_build_object('k' || i, array[i / 8.0, null], 'q"', chr(i))`],
  ['tstzrange', "tstzrange(timestamptz '2026-11-22+00' + i * interval '1.5 seconds', null)"],
  ['int4range', 'int4range(i, i + 5)'],
  ['point', 'point(i / 8.0, (10.0 ^ (i % 40 - 20))::float8)'],
  ['circle', 'circle(point(i / 8.0, -i), (10.0 ^ (i % 40 - 20))::float8)', 'include.unknown.datatypes=true'],
  [
    'box[]',
    'array[box(point(i, i / 8.0), point(-i, 1e20)), box(point(0, 0), point(1, 1))]',
    'include.unknown.datatypes=true',
  ],
  ['inet', "inet '10.0.0.0/8' + i"],
]

test('texts that PostgreSQL prints come back as it printed them', async (t) => {
  const { sql } = await testPostgres(t)
  for (const [type, expression, ...pairs] of EXPRESSIONS) {
    const rows = await sql.unsafe<{ text: string }[]>(
      `select (${expression})::text as text from generate_series(1, 300) i`,
    )
    assert.equal(rows.length, 300)
    for (const { text } of rows) assert.equal(roundTrip(type, text, ...pairs), text, `${type}: ${text}`)
  }
})
