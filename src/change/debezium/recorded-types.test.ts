import assert from 'node:assert/strict'
import { test } from 'node:test'

import { relationOf, type ColumnSpec } from './fixtures/build.ts'
import { changeOf, recordedCase, type Texts } from './fixtures/recorded.ts'
import { assertReplay, itemOf } from './fixtures/replay.ts'

interface RowsCase {
  readonly case: string
  /** Default: t. */
  readonly table?: string
  readonly columns: Readonly<Record<string, string | ColumnSpec>>
  /** The texts that PostgreSQL has for the row of each record; the key is counted up by itself. */
  readonly rows: readonly Texts[]
  readonly properties?: readonly string[]
}

const NULLS = (count: number): Texts => Array.from({ length: count }, () => null)

const LARGE_STAMPS: Texts = [
  '21016-11-04 13:51:30.123456',
  '21016-11-04 13:51:30.124',
  '21016-11-04 06:51:30.123456+00',
  '294247-01-01 23:59:59.999999',
  '4713-12-31 23:59:59.999999 BC',
  '294247-01-01 23:59:59.999999+00',
  '4714-12-31 23:59:59.999999+00 BC',
  '21016-11-04 06:51:30+00',
]
const INFINITIES: Texts = [
  'infinity',
  '-infinity',
  'infinity',
  '-infinity',
  'infinity',
  '-infinity',
  'infinity',
  '-infinity',
]
const NUMERICS = {
  d: 'numeric(3,2)',
  dzs: 'numeric(4,0)',
  dvs: 'numeric',
  d_nn: 'numeric(3,2)',
  n: 'numeric(6,4)',
  nzs: 'numeric(4,0)',
  nvs: 'numeric',
}
const TEMPORAL = {
  ts: 'timestamp',
  ts0: 'timestamp(0)',
  ts_ms: 'timestamp(3)',
  ts_us: 'timestamp(6)',
  d: 'date',
  ti: 'time',
  ti0: 'time(0)',
  tip: 'time(3)',
  ti6: 'time(6)',
}
const TEMPORAL_ROWS: readonly Texts[] = [
  [
    '2016-11-04 13:51:30.123456',
    '2016-11-04 13:51:31',
    '2016-11-04 13:51:30.123',
    '2016-11-04 13:51:30.123456',
    '2016-11-04',
    '13:51:30',
    '13:51:31',
    '13:51:30.123',
    '13:51:30.123456',
  ],
  [
    '1936-10-25 22:10:12.608',
    '1969-12-31 23:59:59',
    '1969-12-31 23:59:59.999',
    '1969-12-31 23:59:59.999999',
    '1969-12-31',
    '00:00:00',
    '00:00:00',
    '00:00:00',
    '00:00:00',
  ],
]
const UUID = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'

const CASES: readonly RowsCase[] = [
  {
    case: 'type-float-special',
    columns: {
      r_nan: 'float4',
      db_nan: 'float8',
      r_pinf: 'float4',
      db_pinf: 'float8',
      r_ninf: 'float4',
      db_ninf: 'float8',
    },
    rows: [
      ['NaN', 'NaN', 'Infinity', 'Infinity', '-Infinity', '-Infinity'],
      ['NaN', 'NaN', 'Infinity', 'Infinity', '-Infinity', '-Infinity'],
    ],
  },
  {
    case: 'type-numeric-precise',
    columns: NUMERICS,
    rows: [
      ['1.10', '10', '10.1111', '3.30', '22.2200', '22', '22.2222'],
      ['1.00', '10', '10', '3.30', '22.0000', '22', '22'],
      ['-1.10', '-10', '-10.5', '0.00', '-0.0001', '0', '0'],
      [null, null, null, '0.01', null, null, null],
    ],
  },
  {
    case: 'type-numeric-string',
    columns: NUMERICS,
    rows: [
      ['1.10', '10', '10.1111', '3.30', '22.2200', '22', '22.2222'],
      ['1.00', '10', '10', '3.30', '22.0000', '22', '22'],
    ],
    properties: ['decimal.handling.mode=string'],
  },
  {
    case: 'type-string-table',
    columns: {
      vc: 'varchar',
      vcv: 'varchar(2)',
      ch: 'bpchar(4)',
      c: 'bpchar(3)',
      t: 'text',
      b: 'bytea',
      bnn: 'bytea',
      ct: 'citext',
    },
    rows: [
      ['žš', 'bb', 'cdef', 'abc', 'some text', '\\x000102', '\\x030405', 'Hello World'],
      ['', '', '    ', '   ', '', '\\x', '\\x', ''],
      [null, null, null, null, null, null, '\\xff', null],
    ],
  },
  {
    case: 'str-unicode',
    columns: { a: 'text', b: 'text' },
    rows: [
      ['žš čřžýáíé', 'ß'],
      ['日本語テキスト', '中文'],
    ],
  },
  {
    case: 'type-bit',
    columns: { bol: 'bit(1)', bol2: 'bit(1)', bs: 'bit(2)', bs7: 'bit(7)', b8: 'bit(8)', b9: 'bit(9)', b64: 'bit(64)' },
    rows: [
      ['0', '1', '11', '1000000', '00000001', '100000001', `1${'0'.repeat(63)}`],
      ['1', '0', '00', '0000001', '10000000', '000000000', `${'0'.repeat(63)}1`],
      NULLS(7),
      ['1', '1', '01', '1111111', '11111111', '111111111', '1'.repeat(64)],
    ],
  },
  {
    case: 'type-json-formatting',
    columns: { j: 'json', jb: 'jsonb' },
    rows: [
      ['{"b":1,  "a" : [1,2 ,3], "b":2}', '{"a": [1, 2, 3], "b": 2}'],
      ['1.500', '1.500'],
    ],
  },
  { case: 'type-point', columns: { p: 'point' }, rows: [['(1,1)'], ['(-1.5,2.25)']] },
  { case: 'type-temporal-adaptive', columns: TEMPORAL, rows: TEMPORAL_ROWS },
  {
    case: 'type-temporal-connect',
    columns: TEMPORAL,
    rows: TEMPORAL_ROWS,
    properties: ['time.precision.mode=connect'],
  },
  {
    case: 'type-timestamptz-timetz-adaptive',
    columns: {
      tz: 'timestamptz',
      tsp: 'timestamptz(0)',
      tz3: 'timestamptz(3)',
      tz6: 'timestamptz(6)',
      ttz: 'timetz',
      tptz: 'timetz(3)',
    },
    rows: [
      [
        '2016-11-04 11:51:30.123456+00',
        '2016-11-04 11:51:30+00',
        '2016-11-04 11:51:30.123+00',
        '2016-11-04 11:51:30.123456+00',
        '13:51:30.123789+02',
        '13:51:30.123+02',
      ],
      [
        '2016-11-04 13:51:30+00',
        '1970-01-01 00:00:00+00',
        '2016-11-04 13:51:30.1+00',
        '2000-01-01 00:00:00.1+00',
        '00:00:00+00',
        '00:00:00-05',
      ],
    ],
  },
  {
    case: 'type-temporal-large-adaptive',
    columns: {
      ts_large: 'timestamp',
      ts_large_ms: 'timestamp(3)',
      tz_large: 'timestamptz',
      ts_max: 'timestamp',
      ts_min: 'timestamp',
      tz_max: 'timestamptz',
      tz_min: 'timestamptz',
      tz_zero: 'timestamptz',
    },
    rows: [LARGE_STAMPS, LARGE_STAMPS],
  },
  {
    case: 'type-infinity-adaptive',
    columns: {
      d_p: 'date',
      d_n: 'date',
      ts_p: 'timestamp',
      ts_n: 'timestamp',
      ts3_p: 'timestamp(3)',
      ts3_n: 'timestamp(3)',
      tz_p: 'timestamptz',
      tz_n: 'timestamptz',
    },
    rows: [INFINITIES, INFINITIES],
  },
  {
    case: 'type-array-basic',
    columns: {
      int_array: 'int4[]',
      bigint_array: 'int8[]',
      text_array: 'text[]',
      char_array: 'bpchar(10)[]',
      varchar_array: 'varchar(10)[]',
      date_array: 'date[]',
      uuid_array: 'uuid[]',
      oid_array: 'oid[]',
    },
    rows: [
      [
        '{1,2,3}',
        '{1550166368505037572}',
        '{one,two,three}',
        '{"cone      ","ctwo      ","cthree    "}',
        '{vcone,vctwo,vcthree}',
        '{2016-11-04,2016-11-05,2016-11-06}',
        `{${UUID}}`,
        '{3,4000000000}',
      ],
      Array.from({ length: 8 }, () => '{}'),
      NULLS(8),
      [
        '{1,NULL,3}',
        '{NULL}',
        '{a,NULL,"NULL"}',
        '{"a         ",NULL}',
        '{a,NULL}',
        '{2016-11-04,NULL}',
        '{NULL}',
        '{NULL}',
      ],
    ],
  },
  {
    case: 'type-hstore-json',
    columns: { hs: 'hstore' },
    rows: [['"key"=>"val"'], ['"key1"=>"val1", "key2"=>"val2", "key3"=>"val3"']],
  },
  {
    case: 'type-enum',
    columns: { value: 'mood enum', v2: 'mood enum' },
    rows: [
      ['val1', 'V3'],
      ['val2', null],
    ],
  },
  {
    case: 'type-pgvector',
    columns: { f_vector: 'vector', f_halfvec: 'halfvec', f_sparsevec: 'sparsevec' },
    rows: [
      ['[1,2,3]', '[101,102,103]', '{1:201,9:209}/3000'],
      ['[10.5,-0.25,0.001]', '[0.1,2,3]', '{3:1.5}/5'],
    ],
  },
  {
    case: 'type-postgis',
    columns: { p: 'geometry', ml: 'geography' },
    rows: [
      [
        Buffer.from('AQEAACBzDAAAHHxhMlXeZUB4eqUsQ1xCwA==', 'base64').toString('hex').toUpperCase(),
        Buffer.from('AQUAACDmEAAAAQAAAAECAAAAAgAAAKd5xyk6JGVAC0YldQJaRsDGbTSAt/xkQMPTK2UZUkbA', 'base64').toString(
          'hex',
        ),
      ],
      ['010700000000000000', Buffer.from('AQEAACDmEAAAAAAAAAAAAAAAAAAAAAAAAA==', 'base64').toString('hex')],
    ],
  },
  {
    case: 'default-null-replaced',
    table: 'd',
    columns: {
      a: { type: 'int4', default: '5' },
      b: { type: 'text', default: `'x'::text` },
      c: { type: 'numeric(5,2)', default: '1.5' },
      e: { type: 'bool', default: 'true' },
      f: { type: 'timestamptz', default: 'now()' },
      g: { type: 'date', default: `'2020-02-03'::date` },
      h: { type: 'jsonb', default: `'{}'::jsonb` },
      i: { type: 'uuid', default: 'gen_random_uuid()' },
      j: { type: 'timestamp', default: `'2020-01-02 03:04:05'::timestamp without time zone` },
      k: { type: 'int8', default: '7' },
      l: { type: 'varchar(5)', default: `'ab'::character varying` },
      m: { type: 'float8', default: '1.5' },
      n: { type: 'time', default: `'01:02:03'::time without time zone` },
      o: { type: 'interval', default: `'1 day'::interval` },
      p: { type: 'int4', default: '(1 + 1)' },
      q: { type: 'text', default: `lower('X'::text)` },
    },
    rows: [NULLS(16), NULLS(16)],
  },
]

for (const { case: name, table = 't', columns, rows, properties = [] } of CASES) {
  test(`rows are the bytes that Debezium wrote: ${name}`, () => {
    const records = recordedCase(name)
    const [first] = records
    const [keyColumn] = Object.keys(JSON.parse(first?.key ?? '{}') as object)
    assert.ok(keyColumn)
    const relation = relationOf({ name: ['public', table], columns: { [keyColumn]: 'int4', ...columns } })
    const items = rows.map((texts, index) => {
      const record = records[index]
      assert.ok(record)
      return itemOf(changeOf(record, relation, { after: [String(index + 1), ...texts] }))
    })
    assertReplay(records, items, ...properties)
  })
}
