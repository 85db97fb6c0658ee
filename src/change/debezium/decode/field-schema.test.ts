import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { relationOf } from '../fixtures/build.ts'
import { decode, isDecodeError, rowOf, rowsOf } from '../fixtures/raw.ts'

test("the schema of a record goes before the connector's settings", () => {
  const value = readFileSync(new URL('../fixtures/with-schema.json', import.meta.url), 'utf8')
  const envelope = rowOf({ key: null, value, headers: {} })
  const after = { id: '1', customer: 'a', qty: '5', amount: '12.34', placed: '2024-01-02 03:04:05+00' }
  const columns = { id: 'int4', customer: 'text', qty: 'int4', amount: 'numeric(10,2)', placed: 'timestamptz' }
  for (const mode of ['precise', 'string', 'double']) {
    const event = decode(envelope, relationOf({ columns }), `decimal.handling.mode=${mode}`)
    assert.deepEqual(rowsOf(event), { after })
    assert.ok(event.op === 'c' && event.after.kind === 'complete')
  }
  // Its scale was another one when the record was written.
  const altered = relationOf({ columns: { ...columns, amount: 'numeric(12,4)' } })
  assert.deepEqual(rowsOf(decode(envelope, altered)).after, after)
})

test('each form of a type is known by its schema, and that of another type refused', () => {
  const read = (type: string, schema: object, json: unknown): unknown => {
    const field = { ...schema, optional: true, field: 'v' }
    const image = { type: 'struct', fields: [field], optional: true, field: 'after' }
    const payload = { op: 'c', source: { schema: 'public', table: 't', ts_us: 1, lsn: 9 }, after: { v: json } }
    const value = JSON.stringify({ schema: { type: 'struct', fields: [image] }, payload })
    const relation = relationOf({ columns: { v: type } })
    // Settings that are all wrong.
    const wrong = ['time.precision.mode=isostring', 'binary.handling.mode=hex', 'decimal.handling.mode=double']
    const event = decode(rowOf({ key: null, value, headers: {} }), relation, ...wrong)
    return event.op === 'c' ? event.after.texts[0] : assert.fail()
  }
  const time = (name: string) => ({ type: 'int64', name: `io.debezium.time.${name}` })
  const connect = (name: string) => ({ type: 'int32', name: `org.apache.kafka.connect.data.${name}` })
  const decimal = { type: 'bytes', name: 'org.apache.kafka.connect.data.Decimal', parameters: { scale: '2' } }
  const variable = { type: 'struct', name: 'io.debezium.data.VariableScaleDecimal' }
  const cases: readonly (readonly [string, object, unknown, string | undefined])[] = [
    ['date', time('Date'), 17_109, '2016-11-04'],
    ['date', connect('Date'), 17_109, '2016-11-04'],
    ['time', time('MicroTime'), 1_000_000, '00:00:01'],
    ['time(3)', time('Time'), 1000, '00:00:01'],
    ['time(3)', connect('Time'), 1000, '00:00:01'],
    ['time', time('NanoTime'), 1_000_000_000, '00:00:01'],
    ['timestamp(3)', time('Timestamp'), 1001, '1970-01-01 00:00:01.001'],
    ['timestamp', connect('Timestamp'), 1001, undefined],
    ['timestamp', time('MicroTimestamp'), 1001, '1970-01-01 00:00:00.001001'],
    ['timestamp', time('NanoTimestamp'), 1_001_000, '1970-01-01 00:00:00.001001'],
    [
      'timestamp',
      { type: 'string', name: 'io.debezium.time.IsoTimestamp' },
      '1970-01-01T00:00:01Z',
      '1970-01-01 00:00:01',
    ],
    ['interval', time('MicroDuration'), 1, undefined],
    ['interval', { type: 'string', name: 'io.debezium.time.Interval' }, 'P0Y0M1DT0H0M0S', '1 day'],
    ['numeric(9,3)', decimal, 'BNI=', '12.34'],
    ['numeric', variable, { scale: 1, value: 'Dw==' }, '1.5'],
    ['numeric(9,3)', { type: 'string' }, '1.500', '1.500'],
    ['numeric(9,3)', { type: 'double' }, 1.5, '1.500'],
    ['money', decimal, 'AeIT', '$1,234.11'],
    ['bytea', { type: 'bytes' }, '/w==', '\\xff'],
    ['circle', { type: 'bytes' }, Buffer.from('<(1.0,2.0),3.0>').toString('base64'), '<(1,2),3>'],
    ['numeric(9,3)[]', { type: 'array', items: decimal }, ['BNI='], '{12.34}'],
    ['timestamp[]', { type: 'array', items: time('MicroTimestamp') }, [0], '{"1970-01-01 00:00:00"}'],
  ]
  for (const [type, schema, json, text] of cases)
    assert.equal(read(type, schema, json), text, `${type} ${JSON.stringify(schema)}`)
  const refused: readonly (readonly [string, object, unknown])[] = [
    ['timestamp', time('Date'), 17_109],
    ['int8', time('MicroTimestamp'), 1],
    ['text', { type: 'string', name: 'io.debezium.time.ZonedTimestamp' }, '2016-11-04T11:51:30Z'],
    ['numeric', { type: 'int32' }, 1],
    ['date', { type: 'string' }, '2016-11-04Z'],
  ]
  for (const [type, schema, json] of refused) assert.throws(() => read(type, schema, json), isDecodeError, type)
})
