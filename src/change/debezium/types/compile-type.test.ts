import assert from 'node:assert/strict'
import { test } from 'node:test'

import { optionsOf, typeOf } from '../fixtures/build.ts'
import { compileType } from './compile-type.ts'
import type { TypeEncoder } from './type-encoder.ts'

function encoder(type: string, ...pairs: readonly string[]): TypeEncoder {
  return compileType(typeOf(type), optionsOf(...pairs)) ?? assert.fail(`${type} has no mapping`)
}

const UNKNOWN = 'include.unknown.datatypes=true'

/** [type, PostgreSQL's text, JSON text, properties...] */
type Case = readonly [type: string, text: string, json: string, ...pairs: string[]]

function check(cases: readonly Case[]): void {
  for (const [type, text, json, ...pairs] of cases) {
    assert.equal(encoder(type, ...pairs).encode(text, false), json, `${type} ${text} ${pairs.join(' ')}`)
  }
}

test('scalars', () => {
  check([
    ['bool', 't', 'true'],
    ['bool', 'f', 'false'],
    ['int2', '-32768', '-32768'],
    ['int8', '9223372036854775807', '9223372036854775807'],
    ['oid', '4294967295', '4294967295'],
    ['float4', '3', '3.0'],
    ['float8', 'NaN', '"NaN"'],
    ['float8', '-Infinity', '"-Infinity"'],
    ['bpchar(4)', 'ab  ', '"ab  "'],
    ['text', '', '""'],
    ['name', 'x', '"x"'],
    ['json', ' {"sp" : 1 } ', '" {\\"sp\\" : 1 } "'],
    ['jsonb', '{"a": [1, 2, 3], "b": 2}', '"{\\"a\\": [1, 2, 3], \\"b\\": 2}"'],
    ['mood enum', 'happy', '"happy"'],
    ['inet', '192.168.0.1', '"192.168.0.1"'],
    ['macaddr8', '08:00:2b:ff:fe:01:02:03', '"08:00:2b:ff:fe:01:02:03"'],
    ['int4range', '[1,11)', '"[1,11)"'],
    ['tsvector', "'brown':3 'fox':4", `"'brown':3 'fox':4"`],
    ['isbn', '0-393-04002-X', '"0-393-04002-X"'],
    ['point', '(1,1)', '{"x":1.0,"y":1.0,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAPA/","srid":null}'],
    ['vector(3)', '[1,2,3]', '[1.0,2.0,3.0]'],
    ['sparsevec(3000)', '{1:201,9:209}/3000', '{"dimensions":3000,"vector":[[1,201.0],[9,209.0]]}'],
    ['bit(1)', '1', 'true'],
    ['varbit(1)', '0', 'false'],
    ['bit(2)', '11', '"Aw=="'],
    ['bit(7)', '1000000', '"QA=="'],
    ['bit(8)', '00000000', '""'],
    ['bit(9)', '100000001', '"AQE="'],
    ['bit(64)', `1${'0'.repeat(63)}`, '"AAAAAAAAAIA="'],
    ['varbit', '101', '"BQ=="'],
  ])
})

test('numeric, precise: the unscaled value at the scale of the column, as few bytes as hold the sign', () => {
  check([
    ['numeric(3,2)', '1.10', '"bg=="'],
    ['numeric(3,2)', '3.30', '"AUo="'],
    ['numeric(3,2)', '-1.10', '"kg=="'],
    ['numeric(3,2)', '0.00', '"AA=="'],
    ['numeric(3,2)', '9.99', '"A+c="'],
    ['numeric(10,2)', '-1.50', '"/2o="'],
    ['numeric(10,2)', '12.34', '"BNI="'],
    ['numeric(10,0)', '128', '"AIA="'],
    ['numeric(10,0)', '-128', '"gA=="'],
    ['numeric(10,0)', '255', '"AP8="'],
    ['numeric(10,0)', '127', '"fw=="'],
    ['numeric', '10.1111', '{"scale":4,"value":"AYr3"}'],
    ['numeric', '0', '{"scale":0,"value":"AA=="}'],
    ['numeric', '0.0', '{"scale":0,"value":"AA=="}'],
    ['numeric', '1.500', '{"scale":1,"value":"Dw=="}'],
    ['numeric', '100', '{"scale":0,"value":"ZA=="}'],
    ['numeric', '10000000000', '{"scale":0,"value":"AlQL5AA="}'],
    ['numeric', '-256', '{"scale":0,"value":"/wA="}'],
    ['numeric', '0.00001000', '{"scale":5,"value":"AQ=="}'],
    ['numeric', 'NaN', 'null'],
    ['numeric(3,2)', 'NaN', 'null'],
    ['numeric(10,2) domain', '1.20', '"eA=="'],
  ])
})

test('numeric as string and as double', () => {
  const string = 'decimal.handling.mode=string'
  const double = 'decimal.handling.mode=double'
  check([
    ['numeric(3,2)', '1.10', '"1.10"', string],
    ['numeric(8,4)', '22.2200', '"22.2200"', string],
    ['numeric', '10.1111', '"10.1111"', string],
    ['numeric', '1.500', '"1.500"', string],
    ['numeric', '0.00001000', '"0.00001000"', string],
    ['numeric', '10000000000', '"10000000000"', string],
    ['numeric', 'NaN', '"NAN"', string],
    ['numeric', 'Infinity', '"POSITIVE_INFINITY"', string],
    ['numeric', '-Infinity', '"NEGATIVE_INFINITY"', string],
    ['numeric(3,2)', '1.10', '1.1', double],
    ['numeric', '123456789012345678901234567890', '1.2345678901234568E29', double],
    ['numeric', 'NaN', '"NaN"', double],
    ['numeric', '-Infinity', '"-Infinity"', double],
  ])
})

test('money is rounded half up to money.fraction.digits', () => {
  check([
    ['money', '$1,234.11', '"AeIT"'],
    ['money', '-$1,234.11', '"/h3t"'],
    ['money', '$123.45', '"BNM="', 'money.fraction.digits=1'],
    ['money', '-$0.05', '"/w=="', 'money.fraction.digits=1'],
    ['money', '$123.45', '"EtZE"', 'money.fraction.digits=4'],
    ['money', '$1,234.11', '"1234.11"', 'decimal.handling.mode=string'],
    ['money', '-$1,234.11', '"-1234.11"', 'decimal.handling.mode=string'],
    ['money', '$0.00', '"0.00"', 'decimal.handling.mode=string'],
    ['money', '$1,234.11', '1234.11', 'decimal.handling.mode=double'],
  ])
})

test('bytea in each binary.handling.mode', () => {
  check([
    ['bytea', '\\xfffefd3ebffaff', '"//79Pr/6/w=="'],
    ['bytea', '\\xfffefd3ebffaff', '"//79Pr/6/w=="', 'binary.handling.mode=base64'],
    ['bytea', '\\xfffefd3ebffaff', '"__79Pr_6_w=="', 'binary.handling.mode=base64-url-safe'],
    ['bytea', '\\xfffefd3ebffaff', '"fffefd3ebffaff"', 'binary.handling.mode=hex'],
    ['bytea', '\\x', '""'],
  ])
})

test('temporal types in each time.precision.mode', () => {
  const [us, micro, nano, connect, iso] = [
    'adaptive_time_microseconds',
    'microseconds',
    'nanoseconds',
    'connect',
    'isostring',
  ].map((mode) => `time.precision.mode=${mode}`) as [string, string, string, string, string]
  const stamp = '2016-11-04 13:51:30.123456'
  check([
    ['date', '2016-11-04', '17109'],
    ['date', '2016-11-04', '17109', connect],
    ['date', '2016-11-04', '"2016-11-04Z"', iso],
    ['date', '0001-01-01', '-719162'],
    ['date', '4713-01-01 BC', '-2440550'],
    ['date', '5874897-12-31', '2145042905'],
    ['date', 'infinity', '-2147472692'],
    ['date', '-infinity', '-2147472691'],
    ['date', 'infinity', '"-5877611-06-21Z"', iso],
    ['time(3)', '13:51:30.123', '49890123'],
    ['time(3)', '13:51:30.123', '49890123000', us],
    ['time(3)', '13:51:30.123', '49890123000', micro],
    ['time(3)', '13:51:30.123', '49890123000000', nano],
    ['time(3)', '13:51:30.123', '"13:51:30.123Z"', iso],
    ['time', '13:51:30.123456', '49890123456'],
    ['time', '13:51:30.123456', '49890123', connect],
    ['time', '13:51:30.123456', '"13:51:30.123456Z"', iso],
    ['time', '24:00:00', '86400000000'],
    ['time(0)', '24:00:00', '86400000'],
    ['timestamp(3)', '2016-11-04 13:31:30.123', '1478266290123'],
    ['timestamp(3)', '2016-11-04 13:51:30.123', '1478267490123', us],
    ['timestamp(3)', '2016-11-04 13:51:30.123', '1478267490123000', micro],
    ['timestamp(3)', '2016-11-04 13:51:30.123', '1478267490123000000', nano],
    ['timestamp', stamp, '1478267490123456'],
    ['timestamp', stamp, '1478267490123456', us],
    ['timestamp', stamp, '1478267490123', connect],
    ['timestamp', stamp, '1478267490123456000', nano],
    ['timestamp', stamp, '"2016-11-04T13:51:30.123456Z"', iso],
    ['timestamp', '2016-11-04 13:51:30.1', '"2016-11-04T13:51:30.1Z"', iso],
    ['timestamp', '0001-01-01 00:00:00', '-62135596800000000'],
    ['timestamp', '4713-12-31 23:59:59.999999 BC', '-210831897600000001'],
    ['timestamp', '294247-01-01 23:59:59.999999', '9223371331199999999'],
    ['timestamp', '1969-12-31 23:59:59.999999', '-1', connect],
    ['timestamp', 'infinity', '9223372036825200000'],
    ['timestamp', '-infinity', '-9223372036832400000', micro],
    ['timestamp(3)', 'infinity', '9223372036825200'],
    ['timestamp', '-infinity', '-9223372036832400', connect],
    ['timestamp', 'infinity', '9223372036854775807', nano],
    ['timestamp', '-infinity', '"-290308-12-21T19:59:27.6Z"', iso],
    ['timestamptz', '2016-11-04 11:51:30.123456+00', '"2016-11-04T11:51:30.123456Z"'],
    ['timestamptz', '2016-11-04 11:51:30+00', '"2016-11-04T11:51:30.000000Z"'],
    ['timestamptz(0)', '2016-11-04 11:51:30+00', '"2016-11-04T11:51:30Z"'],
    ['timestamptz(3)', '2016-11-04 11:51:30.1+00', '"2016-11-04T11:51:30.100Z"', nano],
    ['timestamptz', '21016-11-04 06:51:30.123456+00', '"+21016-11-04T06:51:30.123456Z"'],
    ['timestamptz', '0044-03-15 12:00:00+00 BC', '"-0043-03-15T12:00:00.000000Z"'],
    ['timestamptz', '0001-12-31 23:59:59+00 BC', '"0000-12-31T23:59:59.000000Z"'],
    ['timestamptz', 'infinity', '"infinity"'],
    ['timetz', '13:51:30.123789+02', '"11:51:30.123789Z"'],
    ['timetz', '00:00:00+00', '"00:00:00Z"'],
    ['timetz', '13:51:30.1+00', '"13:51:30.1Z"'],
    ['timetz', '24:00:00+00', '"00:00:00Z"'],
    ['timetz', '01:00:00+05:30', '"19:30:00Z"'],
  ])
})

test('what lies beyond the safe integers is exact, and the end of a day is its beginning where a time is a text', () => {
  const [connect, iso] = ['time.precision.mode=connect', 'time.precision.mode=isostring']
  check([
    ['timestamp', '294247-01-01 23:59:59.999999', '9223371331199999', connect],
    ['time', '24:00:00', '"00:00:00Z"', iso],
    ['box[]', '{(1,1),(0,0);(2,2),(1,1)}', '["KDEuMCwxLjApLCgwLjAsMC4wKQ==","KDIuMCwyLjApLCgxLjAsMS4wKQ=="]', UNKNOWN],
  ])
})

test('infinite dates have other sentinels in a snapshot', () => {
  assert.equal(encoder('date').encode('infinity', true), '-622191234')
  assert.equal(encoder('date').encode('-infinity', true), '-625821272')
  assert.equal(encoder('date', 'time.precision.mode=isostring').encode('infinity', true), '"+292278994-08-16Z"')
})

test('intervals: a month is 30.4375 days, overflow saturates', () => {
  const string = 'interval.handling.mode=string'
  check([
    ['interval', '1 day', '86400000000'],
    ['interval', '1 mon', '2629800000000'],
    ['interval', '1 year 2 mons 3 days 04:05:06.78', '37091106780000'],
    ['interval', '-1 mons +25 days 14:00:00', String(-2_629_800_000_000 + 25 * 86_400_000_000 + 50_400_000_000)],
    ['interval', '-00:00:00.5', '-500000'],
    ['interval', '178000000 years', '9223372036854775807'],
    ['interval', '-178000000 years', '-9223372036854775808'],
    ['interval', '1 year 2 mons 3 days 04:05:06.78', '"P1Y2M3DT4H5M6.78S"', string],
    ['interval', '1 day', '"P0Y0M1DT0H0M0S"', string],
    ['interval', '-1 mons +25 days 14:00:00', '"P0Y-1M25DT14H0M0S"', string],
    ['interval', '-00:00:00.5', '"P0Y0M0DT0H0M-0.5S"', string],
    ['interval', '00:00:00.000001', '"P0Y0M0DT0H0M0.000001S"', string],
    ['interval', '-04:05:06', '"P0Y0M0DT-4H-5M-6S"', string],
  ])
})

test('hstore as a document in a string, or as an object', () => {
  const text = String.raw`"key1"=>"val1", "key2"=>NULL, "q\"\\"=>"a, b"`
  check([
    ['hstore', '"key1"=>"val1", "key2"=>NULL', '"{\\"key1\\":\\"val1\\",\\"key2\\":null}"'],
    ['hstore', '"key1"=>"val1", "key2"=>NULL', '{"key1":"val1","key2":null}', 'hstore.handling.mode=map'],
    ['hstore', text, String.raw`{"key1":"val1","key2":null,"q\"\\":"a, b"}`, 'hstore.handling.mode=map'],
    ['hstore', '', '"{}"'],
  ])
})

test('arrays of mapped types', () => {
  check([
    ['int4[]', '{1,NULL,3}', '[1,null,3]'],
    ['int4[]', '{}', '[]'],
    ['int4[]', '[2:3]={7,8}', '[7,8]'],
    ['text[]', '{a,NULL,"NULL"}', '["a",null,"NULL"]'],
    ['bpchar(10)[]', '{"cone      "}', '["cone      "]'],
    ['numeric(10,2)[]', '{1.20}', '["eA=="]'],
    ['numeric[]', '{1.5}', '[{"scale":1,"value":"Dw=="}]'],
    ['date[]', '{2016-11-04}', '[17109]'],
    ['timestamptz[]', '{"2016-11-04 11:51:30+00"}', '["2016-11-04T11:51:30.000000Z"]'],
    ['mood enum[]', '{}', '[]'],
    ['hstore[]', '{"\\"a\\"=>\\"1\\""}', '["{\\"a\\":\\"1\\"}"]'],
    ['int4[]', '{{1,2},{3,4}}', '[[1,2],[3,4]]'],
  ])
})

test('types without a mapping are left out, or are the bytes of their text', () => {
  const unmapped = [
    'int4multirange multirange',
    'tsquery',
    'circle',
    'thing composite',
    'pg_lsn',
    'xid8',
    'jsonpath',
    'regclass',
    'issn',
    'never_heard_of',
  ]
  for (const type of unmapped) assert.equal(compileType(typeOf(type), optionsOf()), null, type)
  for (const type of ['money[]', 'name[]', 'interval[]', 'varbit[]', 'xml[]', 'point[]', 'refcursor[]']) {
    assert.equal(compileType(typeOf(type), optionsOf('include.unknown.datatypes=true')), null, type)
  }
  assert.equal(compileType(typeOf('int4 domain[]'), optionsOf()), null)
  const unknown = 'include.unknown.datatypes=true'
  check([
    ['circle', '<(10,20),10>', '"PCgxMC4wLDIwLjApLDEwLjA+"', unknown],
    ['thing composite', '(1,"x y")', `"${Buffer.from('(1,"x y")').toString('base64')}"`, unknown],
    ['thing composite', '(1)', '"283129"', unknown, 'binary.handling.mode=hex'],
  ])
})

test('fallbacks of NOT NULL columns that the server did not send', () => {
  const fallbacks: readonly (readonly [type: string, json: string, ...pairs: string[]])[] = [
    ['int8', '0'],
    ['float8', '0.0'],
    ['bool', 'false'],
    ['bit(1)', 'false'],
    ['bit(3)', '""'],
    ['uuid', '""'],
    ['numeric(5,3)', '"AA=="'],
    ['numeric(5,3)', '"0.000"', 'decimal.handling.mode=string'],
    ['numeric(5,3)', '0.0', 'decimal.handling.mode=double'],
    ['numeric', '{"scale":0,"value":"AA=="}'],
    ['numeric', '"0"', 'decimal.handling.mode=string'],
    ['money', '"AA=="'],
    ['money', '"0.00"', 'decimal.handling.mode=string'],
    ['date', '0'],
    ['date', '"1970-01-01Z"', 'time.precision.mode=isostring'],
    ['time', '"00:00:00Z"', 'time.precision.mode=isostring'],
    ['timestamp', '"1970-01-01T00:00:00Z"', 'time.precision.mode=isostring'],
    ['timestamptz', '"1970-01-01T00:00:00Z"'],
    ['timetz', '"00:00:00Z"'],
    ['interval', '0'],
    ['interval', '"P0Y0M0DT0H0M0S"', 'interval.handling.mode=string'],
    ['int4[]', '[]'],
    ['hstore', '"{}"'],
    ['hstore', '{}', 'hstore.handling.mode=map'],
    ['point', '{"x":0.0,"y":0.0,"wkb":"AQEAAAAAAAAAAAAAAAAAAAAAAAAA","srid":null}'],
    ['geometry', '{"wkb":"AQcAAAAAAAAA","srid":null}'],
  ]
  for (const [type, json, ...pairs] of fallbacks) assert.equal(encoder(type, ...pairs).fallback, json, type)
})

test('placeholders of unchanged TOAST values', () => {
  const text = '"__debezium_unavailable_value"'
  const bytes = '"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="'
  const codes =
    '[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]'
  const placeholders: readonly (readonly [type: string, json: string, ...pairs: string[]])[] = [
    ['text', text],
    ['varchar', text],
    ['bpchar', text],
    ['citext', text],
    ['json', text],
    ['jsonb', text],
    ['xml', text],
    ['tsvector', text],
    ['numeric', text, 'decimal.handling.mode=string'],
    ['numeric', 'null'],
    ['numeric(900,2)', 'null', 'decimal.handling.mode=double'],
    ['bytea', bytes],
    ['bytea', text, 'binary.handling.mode=hex'],
    ['bytea', 'null', 'binary.handling.mode=base64'],
    ['bytea', 'null', 'binary.handling.mode=base64-url-safe'],
    ['bytea', '"AP8B"', 'unavailable.value.placeholder=hex:00ff01'],
    ['text[]', `[${text}]`],
    ['jsonb[]', `[${text}]`],
    ['bytea[]', `[${bytes}]`],
    ['int4[]', codes],
    ['int8[]', codes],
    ['date[]', codes],
    ['uuid[]', '["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]'],
    ['timestamptz[]', 'null'],
    ['float8[]', 'null'],
    ['bool[]', 'null'],
    ['numeric[]', 'null'],
    ['hstore', '"{\\"__debezium_unavailable_value\\":\\"__debezium_unavailable_value\\"}"'],
    ['hstore', '{"__debezium_unavailable_value":"__debezium_unavailable_value"}', 'hstore.handling.mode=map'],
    ['text', '"?"', 'unavailable.value.placeholder=?'],
    ['ltree', text],
    ['bytea[]', 'null', 'binary.handling.mode=hex'],
    ['bytea[]', 'null', 'binary.handling.mode=base64'],
    ['date[]', 'null', 'time.precision.mode=connect'],
    ['date[]', 'null', 'time.precision.mode=isostring'],
    ['polygon', text, UNKNOWN, 'binary.handling.mode=hex'],
    ['polygon', 'null', UNKNOWN, 'binary.handling.mode=base64'],
    ['polygon', '"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="', UNKNOWN],
  ]
  for (const [type, json, ...pairs] of placeholders) assert.equal(encoder(type, ...pairs).unavailable, json, type)
})
