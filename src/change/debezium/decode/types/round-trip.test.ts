import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { valueOf } from '../../../value.ts'
import { optionsOf, typeOf } from '../../fixtures/build.ts'
import { compileType } from '../../types/compile-type.ts'
import { parseExactly, type Json } from '../json-value.ts'
import { compileTypeDecoder } from './compile-type.ts'

/** What the text becomes as Debezium's JSON, read back. */
function roundTrip(type: string, text: string, ...pairs: readonly string[]): string | undefined {
  const [columnType, options] = [typeOf(type), optionsOf(...pairs)]
  const json = compileType(columnType, options)?.encode(text, false) ?? assert.fail(`${type} has no mapping`)
  const parsed = parseExactly(json) as Exclude<Json, null>
  return compileTypeDecoder(columnType, options, null).decode(parsed)
}

/** [type, PostgreSQL's text, properties...] */
type Case = readonly [type: string, text: string, ...pairs: string[]]

function checkExact(cases: readonly Case[]): void {
  for (const [type, text, ...pairs] of cases) {
    assert.equal(roundTrip(type, text, ...pairs), text, `${type} ${text} ${pairs.join(' ')}`)
  }
}

function checkUnknown(cases: readonly Case[]): void {
  for (const [type, text, ...pairs] of cases) {
    assert.equal(roundTrip(type, text, ...pairs), undefined, `${type} ${text} ${pairs.join(' ')}`)
  }
}

const mode = (name: string) => `time.precision.mode=${name}`
const MODES = ['adaptive', 'adaptive_time_microseconds', 'microseconds', 'nanoseconds', 'connect', 'isostring'].map(
  mode,
)
const WITH_MICROS = MODES.filter((pair) => pair !== mode('connect'))
const DECIMAL_MODES = ['precise', 'string', 'double'].map((name) => `decimal.handling.mode=${name}`)
const BINARY_MODES = ['bytes', 'base64', 'base64-url-safe', 'hex'].map((name) => `binary.handling.mode=${name}`)
const UNKNOWN = 'include.unknown.datatypes=true'

test('scalars come back as they were', () => {
  checkExact([
    ['bool', 't'],
    ['bool', 'f'],
    ['int2', '-32768'],
    ['int8', '9223372036854775807'],
    ['int8', '-9007199254740993'],
    ['oid', '4294967295'],
    ['float4', '3'],
    ['float4', '0.1'],
    ['float4', '123456.79'],
    ['float4', '1e+06'],
    ['float4', '3.4028235e+38'],
    ['float4', '1e-45'],
    ['float8', '1e+20'],
    ['float8', '1e+15'],
    ['float8', '100000000000000'],
    ['float8', '0.0001'],
    ['float8', '1e-05'],
    ['float8', '-0'],
    ['float8', '0'],
    ['float8', '5e-324'],
    ['float8', '1.7976931348623157e+308'],
    ['float8', 'NaN'],
    ['float4', '-Infinity'],
    ['bpchar(4)', 'ab  '],
    ['text', ''],
    ['text', 'a\n"\\ 😀'],
    ['name', 'x'],
    ['json', ' {"sp" : 1 } '],
    ['jsonb', '{"a": [1, 2, 3], "b": 2}'],
    ['mood enum', 'happy'],
    ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['inet', '192.168.0.1'],
    ['macaddr8', '08:00:2b:ff:fe:01:02:03'],
    ['int4range', '[1,11)'],
    ['tsrange', '["2019-03-31 15:30:00",infinity)'],
    ['tstzrange', '["2017-06-05 11:29:12.549426+00",)'],
    ['tsvector', "'brown':3 'fox':4"],
    ['isbn', '0-393-04002-X'],
    ['ltree', 'a.b'],
    ['point', '(1,1)'],
    ['point', '(-1.5,1e+20)'],
    ['geometry', '0101000020730C00001C7C613255DE6540787AA52C435C42C0'],
    ['vector(3)', '[1,2,0.001]'],
    ['halfvec', '[0.1,1e+06]'],
    ['sparsevec(3000)', '{1:201,9:209}/3000'],
    ['sparsevec', '{}/5'],
    ['bit(1)', '1'],
    ['bit(1)', '0'],
    ['varbit(1)', '1'],
    ['bit(2)', '11'],
    ['bit(7)', '1000000'],
    ['bit(8)', '00000000'],
    ['bit(9)', '100000001'],
    ['bit(64)', `1${'0'.repeat(63)}`],
    ['varbit(3)', '101'],
    ['circle', '<(10,20),10>', UNKNOWN],
    ['box', '(1.5,-2),(0,1e+20)', UNKNOWN],
    ['thing composite', '(1,"x y")', UNKNOWN],
    ['thing composite', '(1)', UNKNOWN, 'binary.handling.mode=hex'],
  ])
})

test('numeric and money in each decimal.handling.mode', () => {
  for (const pair of DECIMAL_MODES) {
    checkExact([
      ['numeric(3,2)', '1.10', pair],
      ['numeric(3,2)', '-1.10', pair],
      ['numeric(3,2)', '0.00', pair],
      ['numeric(3,2)', '-0.01', pair],
      ['numeric(10,0)', '128', pair],
      ['numeric(10,0)', '-128', pair],
      ['numeric(20,10)', '0.0000001000', pair],
      ['numeric', '10.1111', pair],
      ['numeric', '0', pair],
      ['numeric', '100', pair],
      ['numeric', '0.0000000001', pair],
      ['numeric', '1000000000000000000000000', pair],
      ['money', '$1,234.11', pair],
      ['money', '-$1,234,567.11', pair],
      ['money', '$0.00', pair],
      ['money', '-$0.05', pair],
      ['numeric(10,2) domain', '1.20', pair],
    ])
  }
  const [precise = '', string = '', double = ''] = DECIMAL_MODES
  const large = '-123456789012345678901234567890.123456789'
  checkExact([
    ['numeric(60,9)', large, precise],
    ['numeric', large, precise],
    ['numeric', large, string],
    ['numeric', '1.500', string],
    ['numeric', 'NaN', string],
    ['numeric', '-Infinity', string],
    ['numeric', 'NaN', double],
    ['numeric(5,2)', 'Infinity', double],
    ['money', '$123.45', precise, 'money.fraction.digits=4'],
  ])
  checkUnknown([['money', '$123.45', precise, 'money.fraction.digits=1']])
  // Debezium strips the zeros of a numeric without a scale, and doubles have lost digits.
  assert.equal(roundTrip('numeric', '1.500', precise), '1.5')
  assert.equal(roundTrip('numeric', '123456789012345678901234567890', double), '123456789012345680000000000000')
})

test('bytea in each binary.handling.mode', () => {
  for (const pair of BINARY_MODES) {
    checkExact([
      ['bytea', '\\xfffefd3ebffaff', pair],
      ['bytea', '\\x', pair],
      ['bytea[]', '{"\\\\x00ff",NULL}', pair],
    ])
  }
})

test('dates and times in each time.precision.mode', () => {
  for (const pair of MODES) {
    checkExact([
      ['date', '2016-11-04', pair],
      ['date', '0001-01-01', pair],
      ['date', '0001-12-31 BC', pair],
      ['date', '4713-01-01 BC', pair],
      ['date', '5874897-12-31', pair],
      ['date', 'infinity', pair],
      ['date', '-infinity', pair],
      ['time(3)', '13:51:30.123', pair],
      ['time(0)', '24:00:00', pair],
      ['timestamp(3)', '2016-11-04 13:51:30.1', pair],
      ['timestamp(0)', '1969-12-31 23:59:59', pair],
      ['timestamp', 'infinity', pair],
      ['timestamp', '-infinity', pair],
      ['timestamp(3)', 'infinity', pair],
      ['timestamptz', '2016-11-04 11:51:30.123456+00', pair],
      ['timestamptz', '2024-01-02 01:04:05.6789+00', pair],
      ['timestamptz(0)', '2016-11-04 11:51:30+00', pair],
      ['timestamptz', '21016-11-04 06:51:30.123456+00', pair],
      ['timestamptz', '0044-03-15 12:00:00+00 BC', pair],
      ['timestamptz', '0001-12-31 23:59:59+00 BC', pair],
      ['timestamptz', 'infinity', pair],
    ])
  }
  for (const pair of WITH_MICROS) {
    checkExact([
      ['time', '13:51:30.123456', pair],
      ['time', '00:00:00', pair],
      ['time', '24:00:00', pair],
      ['timestamp', '2016-11-04 13:51:30.123456', pair],
      ['timestamp', '1969-12-31 23:59:59.999999', pair],
      ['timestamp', '1677-09-22 00:00:00.000001', pair],
    ])
    if (pair === mode('nanoseconds')) continue
    checkExact([
      ['timestamp', '0001-01-01 00:00:00', pair],
      ['timestamp', '4713-12-31 23:59:59.999999 BC', pair],
      ['timestamp', '294247-01-01 23:59:59.999999', pair],
    ])
  }
})

test('infinite dates of a snapshot have other sentinels, and are infinite too', () => {
  for (const pair of [mode('adaptive'), mode('isostring')]) {
    const [type, options] = [typeOf('date'), optionsOf(pair)]
    for (const text of ['infinity', '-infinity']) {
      const json = compileType(type, options)?.encode(text, true) ?? ''
      assert.equal(compileTypeDecoder(type, options, null).decode(JSON.parse(json) as Exclude<Json, null>), text)
    }
  }
})

test('intervals as ISO durations', () => {
  const string = 'interval.handling.mode=string'
  checkExact([
    ['interval', '00:00:00', string],
    ['interval', '1 year 2 mons 3 days 04:05:06.78', string],
    ['interval', '1 day', string],
    ['interval', '-1 mons +25 days 14:00:00', string],
    ['interval', '-1 days +02:03:00', string],
    ['interval', '2 years -3 days -00:00:00.5', string],
    ['interval', '-00:00:00.5', string],
    ['interval', '00:00:00.000001', string],
    ['interval', '-104:05:06', string],
    ['interval', '-infinity', string],
  ])
})

test('hstore pairs are in the order of their bytes again', () => {
  const text = String.raw`"a"=>"1", "b"=>NULL, "aa"=>"", "q\"\\"=>"a, b"`
  checkExact([
    ['hstore', text],
    ['hstore', text, 'hstore.handling.mode=map'],
    ['hstore', ''],
    ['hstore', '"10"=>"x", "9"=>"y"'.split(', ').toReversed().join(', '), 'hstore.handling.mode=map'],
  ])
})

test('arrays are quoted as PostgreSQL quotes them', () => {
  checkExact([
    ['int4[]', '{1,NULL,3}'],
    ['int8[]', '{9223372036854775807,1}'],
    ['int4[]', '{}'],
    ['text[]', '{a,NULL,"NULL","null","","a b","{}","\\"","\\\\",",",ž}'],
    ['bpchar(10)[]', '{"cone      "}'],
    ['numeric(10,2)[]', '{1.20}'],
    ['numeric[]', '{1.5}'],
    ['date[]', '{2016-11-04}'],
    ['timestamp[]', '{"2016-11-04 11:51:30.5"}'],
    ['timestamptz[]', '{"2016-11-04 11:51:30+00"}'],
    ['mood enum[]', '{a}'],
    ['bool[]', '{t,f}'],
    ['float8[]', '{1e+20,NaN}'],
    ['hstore[]', '{"\\"a\\"=>\\"1\\""}'],
    ['int4range[]', '{"[1,11)"}'],
    ['int4[]', '{{1,2},{3,4}}'],
  ])
  const boxes = compileTypeDecoder(typeOf('box[]'), optionsOf(), null).decode(['(1,1),(0,0)', '(2,2),(1,1)'])
  assert.equal(boxes, '{(1,1),(0,0);(2,2),(1,1)}')
  assert.deepEqual(valueOf(typeOf('int4[]'), roundTrip('int4[]', '[2:3]={7,8}') ?? ''), [7, 8])
})

test('a value that Debezium has rounded, shifted or cut is unknown, never another value', () => {
  checkUnknown([
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
    ['tstzrange', '["2017-06-05 07:29:12.549426-04",)'],
    ['int4[]', '{NULL,NULL}'],
  ])
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
  assert.equal(decode('YWJjZA==', UNKNOWN), 'abcd')
})

test('any text, number and moment survives', () => {
  const day = fc.integer({ min: -719_162, max: 2_932_896 })
  const micros = fc.integer({ min: 0, max: 86_399_999_999 })
  const postgres = (days: number, us: number) => {
    const [date = '', time = ''] = new Date(days * 86_400_000 + Math.floor(us / 1000)).toISOString().split('T')
    const fraction = `${time.slice(9, 12)}${String(us % 1000).padStart(3, '0')}`.replace(/0+$/, '')
    return { date, stamp: `${date} ${time.slice(0, 8)}${fraction === '' ? '' : `.${fraction}`}` }
  }
  fc.assert(
    fc.property(day, micros, fc.constantFrom(...WITH_MICROS), (days, us, pair) => {
      const { date, stamp } = postgres(days, us)
      assert.equal(roundTrip('date', date, pair), date)
      assert.equal(roundTrip('timestamptz', `${stamp}+00`, pair), `${stamp}+00`)
      if (pair === mode('nanoseconds') && Math.abs(days) > 90_000) return
      assert.equal(roundTrip('timestamp', stamp, pair), stamp)
      assert.equal(roundTrip('time', stamp.slice(11), pair), stamp.slice(11))
    }),
  )
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
      fc.integer({ min: 1, max: 40 }),
      (unscaled, scale) => {
        const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
        const text = `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
        for (const pair of DECIMAL_MODES.slice(0, 2)) assert.equal(roundTrip(`numeric(99,${scale})`, text, pair), text)
        assert.equal(roundTrip('numeric', text, DECIMAL_MODES[1] ?? ''), text)
      },
    ),
  )
  fc.assert(
    fc.property(fc.array(fc.option(fc.string({ unit: 'binary' }))), (elements) => {
      const json = elements.map((element) => element)
      const text = compileTypeDecoder(typeOf('text[]'), optionsOf(), null).decode(json)
      if (elements.length > 0 && elements.every((element) => element === null)) assert.equal(text, undefined)
      else assert.deepEqual(valueOf(typeOf('text[]'), text ?? ''), elements)
    }),
  )
  fc.assert(
    fc.property(fc.double({ noNaN: true }), (value) => {
      for (const [type, number] of [
        ['float8', value],
        ['float4', Math.fround(value)],
      ] as const) {
        const text = compileTypeDecoder(typeOf(type), optionsOf(), null).decode(number)
        assert.ok(Object.is(type === 'float4' ? Math.fround(Number(text)) : Number(text), number), `${type} ${number}`)
      }
    }),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.option(fc.string({ unit: 'binary' }))), (pairs) => {
      const decoder = compileTypeDecoder(typeOf('hstore'), optionsOf(), null)
      const text = decoder.decode(pairs) ?? ''
      assert.equal(decoder.decode(JSON.stringify(pairs)), text)
      assert.deepEqual(
        JSON.parse(compileType(typeOf('hstore'), optionsOf('hstore.handling.mode=map'))?.encode(text, false) ?? ''),
        JSON.parse(JSON.stringify(pairs)),
      )
    }),
  )
})
