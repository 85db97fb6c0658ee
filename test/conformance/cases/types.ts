/** Every type of debezium-events.md, section 3: each value in the snapshot, inserted, replaced and deleted, under DEFAULT and FULL. */
import { ALL_GROUPS, type Case, type GroupName } from '../case.ts'

/** Column name, type, and literals; NULL is added to them. */
export type TypeColumn = readonly [name: string, type: string, ...literals: string[]]

export interface TypeTable {
  readonly name: string
  readonly columns: readonly TypeColumn[]
  /** Default: all. */
  readonly groups?: readonly GroupName[]
}

const UNICODE = `'žš 日本語 😀 “q”'`
const CONTROLS = String.raw`E'\x01\t\n\r\b\f"\\/\x7f\u2028\x1f'`
const texts = [`'plain'`, `''`, UNICODE, CONTROLS]

export const TYPE_TABLES: readonly TypeTable[] = [
  {
    name: 'scalars',
    columns: [
      ['bo', 'boolean', 'true', 'false'],
      ['i2', 'smallint', '-32768', '32767', '0'],
      ['i4', 'integer', '-2147483648', '2147483647', '0'],
      ['i8', 'bigint', '-9223372036854775808', '9223372036854775807', '9007199254740993', '-9007199254740993'],
      ['se', 'serial', '7'],
      ['oi', 'oid', '4294967295', '0'],
      [
        'r4',
        'real',
        '3',
        `'NaN'`,
        `'Infinity'`,
        `'-Infinity'`,
        '0.1',
        '3.4028235e38',
        '1e-45',
        '123456.79',
        `'-0'`,
        '1e10',
        '16777216',
      ],
      [
        'f8',
        'double precision',
        '3',
        `'NaN'`,
        `'Infinity'`,
        `'-Infinity'`,
        '1e10',
        '1e-10',
        '5e-324',
        '1.7976931348623157e308',
        '123456789.123',
        `'-0'`,
        '0.001',
        '1e7',
        '9999999',
        '100',
        '2e22',
      ],
      ['c1', '"char"', `'x'`, `''`],
      ['ch4', 'char(4)', `'ab'`, `''`, `'ž日'`],
      ['bp', 'bpchar', `'ab  '`, `''`],
      ['vc', 'varchar', ...texts],
      ['vc5', 'varchar(5)', `'12345'`, `''`],
      ['te', 'text', ...texts],
      ['ci', 'public.citext', `'CiT'`, `''`],
      ['na', 'name', `'nm'`, `'other'`],
      ['uu', 'uuid', `'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`],
      ['js', 'json', `' {"sp" : 1 } '`, `'[1e3, "ž😀\\u0041"]'`],
      ['jb', 'jsonb', `'{"b":1,"a":[1,2 ,3],"b":2}'`, `'1e3'`, `'"😀"'`],
      ['xm', 'xml', `'<a b="c">ž</a>'`],
      ['en', 'public.mood', `'happy'`, `'it''s "ž"'`],
      ['by', 'bytea', String.raw`'\xfffefd3ebffaff'`, String.raw`'\x'`, String.raw`'\x00'`],
      ['inn', 'inet', `'192.168.0.1/32'`, `'192.168.2.0/12'`, `'::1'`, `'2001:db8::/32'`],
      ['cid', 'cidr', `'192.168.100.128/25'`, `'::1/128'`],
      ['mac', 'macaddr', `'08-00-2B-01-02-03'`],
      ['mac8', 'macaddr8', `'08:00:2b:01:02:03'`],
      ['b', 'bit', `'1'`, `'0'`],
      ['b1', 'bit(1)', `'1'`, `'0'`],
      ['b2', 'bit(2)', `'11'`, `'10'`],
      ['b7', 'bit(7)', `'1000000'`, `'0000000'`],
      ['b8', 'bit(8)', `'00000000'`, `'10000001'`],
      ['b9', 'bit(9)', `'100000001'`],
      ['b64', 'bit(64)', `('1' || repeat('0', 63))::bit(64)`, `repeat('1', 64)::bit(64)`],
      ['vb', 'bit varying', `'101'`, `''`, `'000'`],
      ['vb1', 'bit varying(1)', `'1'`, `'0'`, `''`],
      ['vb12', 'bit varying(12)', `'111111111111'`, `'0001'`],
    ],
  },
  {
    name: 'numbers',
    columns: [
      ['n32', 'numeric(3,2)', '1.1', '3.3', '-1.1', '0', '9.99', `'NaN'`],
      ['n100', 'numeric(10,0)', '128', '-128', '255', '127', '-129', '0'],
      ['n10', 'numeric(10)', '1', '-1'],
      ['n102', 'decimal(10,2)', '-1.5', '12.34', '99999999.99'],
      ['n3810', 'numeric(38,10)', '1234567890123456789012345678.0123456789', '-0.0000000001'],
      ['n24', 'numeric(2,4)', '0.0012', '-0.0099'],
      ['nneg', 'numeric(5,-2)', '12345', '-100'],
      [
        'nu',
        'numeric',
        '10.1111',
        '0',
        '0.0',
        '1.500',
        '100',
        '1e10',
        '-256',
        '0.00001000',
        '123456789012345678901234567890',
        `'NaN'`,
        `'Infinity'`,
        `'-Infinity'`,
        '-0.5',
        '1.10',
        '1e-20',
        '1e22',
      ],
      ['mo', 'money', `'1234.11'`, `'-1234.11'`, `'0'`, `'-0.05'`, `'123.45'`, `'92233720368547758.07'`],
      ['dn', 'public.price', '1.2', '-3'],
      ['dd', 'public.small_price', '1.2'],
      ['dt', 'public.short_text', `'abc'`],
      ['di', 'public.positive', '5'],
    ],
  },
  {
    name: 'times',
    columns: [
      ['d', 'date', `'2016-11-04'`, `'0001-01-01'`, `'1582-10-10'`, `'infinity'`, `'-infinity'`, `'1969-12-31'`],
      ['t', 'time', `'13:51:30.123456'`, `'00:00'`, `'24:00:00'`, `'13:51:30.1'`],
      ['t0', 'time(0)', `'13:51:30.9'`, `'24:00:00'`],
      ['t3', 'time(3)', `'13:51:30.123456'`, `'00:00:00.001'`],
      ['t4', 'time(4)', `'13:51:30.1234'`],
      ['t6', 'time(6)', `'23:59:59.999999'`],
      [
        's',
        'timestamp',
        `'2016-11-04 13:51:30.123456'`,
        `'1969-12-31 23:59:59.999999'`,
        `'infinity'`,
        `'-infinity'`,
        `'2016-11-04 13:51:30.1'`,
      ],
      ['s0', 'timestamp(0)', `'2016-11-04 13:51:30.9'`, `'infinity'`],
      ['s3', 'timestamp(3)', `'2016-11-04 13:51:30.123456'`, `'1969-12-31 23:59:59.999'`, `'infinity'`, `'-infinity'`],
      ['s4', 'timestamp(4)', `'2016-11-04 13:51:30.1234'`],
      ['s6', 'timestamp(6)', `'2016-11-04 13:51:30.123456'`],
      [
        'z',
        'timestamptz',
        `'2016-11-04 13:51:30.123456+02'`,
        `'2016-11-04 13:51:30+02'`,
        `'infinity'`,
        `'-infinity'`,
        `'1900-01-01 00:00+00'`,
      ],
      ['z0', 'timestamptz(0)', `'2016-11-04 13:51:30.9+02'`, `'infinity'`],
      ['z3', 'timestamptz(3)', `'2016-11-04 13:51:30.1+02'`],
      ['z6', 'timestamptz(6)', `'2016-11-04 13:51:30.1+02'`],
      ['tz', 'timetz', `'13:51:30.123789+02'`, `'00:00:00+00'`, `'13:51:30.1+00'`, `'24:00:00+00'`, `'01:00:00+05:30'`],
      ['tz0', 'timetz(0)', `'13:51:30.9+00'`],
      [
        'iv',
        'interval',
        `'1 day'`,
        `'1 month'`,
        `'P1Y2M3DT4H5M6.78S'`,
        `'-1 mon 25 days 14:00'`,
        `'-0.5 s'`,
        `'1 us'`,
        `'0'`,
        `'178000000 years'`,
        `'-178000000 years'`,
        `'-1 year -2 mons +3 days -04:05:06.789'`,
        `'100:00:00'`,
        `'infinity'`,
        `'-infinity'`,
      ],
      ['ivd', 'interval day to second(3)', `'3 days 04:05:06.7891'`],
    ],
  },
  {
    // Outside of what nanoseconds can say.
    name: 'times_afar',
    groups: ['defaults', 'registered', 'double', 'iso', 'with-schemas'],
    columns: [
      ['d', 'date', `'4713-01-01 BC'`, `'5874897-12-31'`, `'0044-03-15 BC'`, `'10000-01-01'`],
      [
        's',
        'timestamp',
        `'4713-12-31 23:59:59.999999 BC'`,
        `'294247-01-01 23:59:59.999999'`,
        `'21016-11-04 13:51:30.123456'`,
        `'0001-01-01'`,
      ],
      ['s3', 'timestamp(3)', `'4713-12-31 23:59:59.999 BC'`, `'21016-11-04 13:51:30.124'`, `'0001-01-01'`],
      [
        'z',
        'timestamptz',
        `'0044-03-15 12:00+00 BC'`,
        `'0001-12-31 23:59:59+00 BC'`,
        `'21016-11-04 06:51:30.123456+00'`,
        `'4714-12-31 23:59:59.999999+00 BC'`,
        `'294247-01-01 23:59:59.999999+00'`,
      ],
      ['z0', 'timestamptz(0)', `'21016-11-04 06:51:30+00'`],
    ],
  },
  {
    name: 'others',
    columns: [
      ['r4', 'int4range', `'[1,10]'`, `'empty'`, `'(,)'`],
      ['r8', 'int8range', `'(1,9007199254740993]'`],
      ['rn', 'numrange', `'[1.50,2)'`],
      ['rs', 'tsrange', `'[2019-03-31 15:30,infinity)'`, `'[2019-03-31 15:30:00.5,)'`],
      ['rz', 'tstzrange', `'[2017-06-05 11:29:12.549426+00,)'`],
      ['rd', 'daterange', `'[2019-01-01,2019-02-01]'`],
      ['mr', 'int4multirange', `'{[1,2],[5,6]}'`],
      ['tv', 'tsvector', `'quick brown fox:4 brown:3A'`],
      ['tq', 'tsquery', `'a & b'`],
      ['lt', 'public.ltree', `'a.b.c'`, `''`],
      ['lq', 'public.lquery', `'a.*'`],
      ['isb', 'public.isbn', `'0-393-04002-X'`],
      ['is13', 'public.isbn13', `'978-0-393-04002-9'`],
      ['hs', 'public.hstore', `'key1=>val1, key2=>NULL'`, `''`, `'zz=>1, a=>2, b=>NULL'`, `'"ž😀"=>"q\\"\\\\"'`],
      ['pt', 'point', `'(1,1)'`, `'(-1.5,1e20)'`, `'(Infinity,NaN)'`],
      ['bx', 'box', `'((0,0),(1,1.5))'`],
      ['cc', 'circle', `'((10,20),10)'`],
      ['ln', 'line', `'{1,-1,0.5}'`],
      ['ls', 'lseg', `'((0,0),(1,1))'`],
      ['pa', 'path', `'[(0,0),(1,1),(2,0)]'`, `'((0,0),(1e10,1))'`],
      ['po', 'polygon', `'((0,0),(1,1),(2,0))'`],
      ['co', 'public.pair', `'(1,"x y")'`],
      ['lsn', 'pg_lsn', `'16/B374D848'`],
      ['xid', 'xid8', `'5000000000'`],
      ['jp', 'jsonpath', `'$.a[*] ? (@ > 1)'`],
      ['rc', 'regclass', `'pg_class'`],
      ['tid', 'tid', `'(1,2)'`],
      [
        'ge',
        'public.geometry',
        `'01010000000000000000000440000000000000F0BF'`,
        `'0101000020730C00001C7C613255DE6540787AA52C435C42C0'`,
      ],
      ['gg', 'public.geography', `'0101000020E61000001C7C613255DE6540787AA52C435C42C0'`],
      ['ve', 'public.vector', `'[1,2,3]'`, `'[0.1,-1e-10,1.6777216e+07]'`],
      ['hv', 'public.halfvec', `'[1,2.5,3]'`],
      ['sv', 'public.sparsevec', `'{1:201,9:209}/3000'`, `'{}/5'`],
    ],
  },
  {
    name: 'arrays',
    columns: [
      ['ab', 'boolean[]', `'{t,NULL,f}'`, `'{}'`],
      ['ai2', 'smallint[]', `'{1,-2}'`],
      ['ai4', 'integer[]', `'{1,NULL,3}'`, `'{}'`, `'[5:6]={1,2}'`],
      ['ai8', 'bigint[]', `'{9223372036854775807,NULL}'`],
      ['ao', 'oid[]', `'{4294967295}'`],
      ['ar4', 'real[]', `'{0.1,NaN,1e10}'`],
      ['af8', 'double precision[]', `'{0.1,Infinity,1e22}'`],
      ['anu', 'numeric[]', `'{1.10,100,NULL,-256}'`],
      ['an2', 'numeric(10,2)[]', `'{1.2,NULL,-3}'`],
      ['ach', 'char(4)[]', `'{ab,""}'`],
      ['avc', 'varchar(5)[]', `'{ab,NULL}'`],
      ['ate', 'text[]', `'{a,"NULL",NULL,"x,\\"y\\\\","ž😀",""}'`],
      ['aci', 'public.citext[]', `'{CiT}'`],
      ['ana', 'name[]', `'{nm}'`],
      ['auu', 'uuid[]', `'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}'`],
      ['ajs', 'json[]', `'{"{\\"a\\": 1}",NULL}'`],
      ['ajb', 'jsonb[]', `'{"{\\"a\\": 1}"}'`],
      ['axm', 'xml[]', `'{<a/>}'`],
      ['aen', 'public.mood[]', `'{happy}'`, `'{happy,NULL}'`],
      ['aby', 'bytea[]', String.raw`'{"\\xfffe",NULL}'`],
      ['ain', 'inet[]', `'{192.168.0.1,::1}'`],
      ['acd', 'cidr[]', `'{192.168.0.0/24}'`],
      ['ama', 'macaddr[]', `'{08:00:2b:01:02:03}'`],
      ['ar', 'int4range[]', `'{"[1,3)"}'`],
      ['anr', 'numrange[]', `'{"[1.5,3)"}'`],
      ['azr', 'tstzrange[]', `'{"[2017-06-05 11:29:12+00,)"}'`],
      ['atv', 'tsvector[]', `'{a,b}'`],
      ['alt', 'public.ltree[]', `'{a.b,c}'`],
      ['ahs', 'public.hstore[]', `'{a=>1,b=>NULL}'`],
      ['ad', 'date[]', `'{2016-11-04,NULL}'`],
      ['ati', 'time[]', `'{13:51:30.123456}'`],
      ['at3', 'time(3)[]', `'{13:51:30.123}'`],
      ['ast', 'timestamp[]', `'{2016-11-04 13:51:30.123456}'`],
      ['as3', 'timestamp(3)[]', `'{2016-11-04 13:51:30.123}'`],
      ['az', 'timestamptz[]', `'{2016-11-04 13:51:30.1+02,NULL}'`],
      ['az3', 'timestamptz(3)[]', `'{2016-11-04 13:51:30.1+02}'`],
      ['atz', 'timetz[]', `'{13:51:30.1+02}'`],
      ['aiv', 'interval[]', `'{1 day}'`],
      ['amo', 'money[]', `'{1.10}'`],
      ['abi', 'bit(3)[]', `'{101}'`],
      ['abi1', 'bit(1)[]', `'{1,0}'`],
      ['avb', 'varbit[]', `'{101}'`],
      ['apt', 'point[]', `'{"(1,1)"}'`],
      ['abx', 'box[]', `'{(1,1),(0,0)}'`],
      ['aco', 'public.pair[]', `'{"(1,x)"}'`],
      ['adp', 'public.price[]', `'{1.2}'`],
      ['alsn', 'pg_lsn[]', `'{1/1}'`],
      ['amr', 'int4multirange[]', `'{"{[1,2)}"}'`],
      ['aisb', 'public.isbn[]', `'{0-393-04002-X}'`],
      ['age', 'public.geometry[]', `'{01010000000000000000000440000000000000F0BF}'`],
      ['ave', 'public.vector[]', `'{"[1,2]"}'`],
      ['mi', 'integer[][]', `'{{1,2},{3,NULL}}'`],
      ['mt', 'text[][]', `'{{a,b},{c,d}}'`],
    ],
  },
]

const TYPES = `
  create extension hstore schema public; create extension citext schema public; create extension ltree schema public;
  create extension isn schema public;
  create type public.mood as enum ('sad', 'happy', 'it''s "ž"');
  create domain public.price as numeric(10,2);
  create domain public.small_price as public.price check (value < 100);
  create domain public.short_text as varchar(5);
  create domain public.positive as int not null default 3 check (value > 0);
  create domain public.whole as int;
  create type public.pair as (a int, b text);
  ${['geometry', 'geography', 'vector', 'halfvec', 'sparsevec'].map(standIn).join('')}`

/** PostGIS and pgvector are not there. Debezium goes by a type's name and text, so a text under that name serves. */
function standIn(name: string): string {
  return `
    create type public.${name};
    create function public.${name}_in(cstring) returns public.${name} language internal immutable strict as 'textin';
    create function public.${name}_out(public.${name}) returns cstring language internal immutable strict as 'textout';
    create type public.${name} (input = public.${name}_in, output = public.${name}_out, storage = extended);`
}

/** The first has all first values, the second all second ones, ... the last only NULLs. */
export function rowsOf(columns: readonly TypeColumn[]): readonly (readonly string[])[] {
  const count = Math.max(...columns.map((column) => column.length - 2))
  const rows = Array.from({ length: count }, (_, row) => {
    return columns.map(([, type, ...literals]) => cast(literals[row % literals.length] ?? 'null', type))
  })
  return [...rows, columns.map(([name]) => (NOT_NULL.has(name) ? 'default' : 'null'))]
}

const NOT_NULL = new Set(['se', 'di'])

function cast(literal: string, type: string): string {
  return type === 'serial' ? literal : `(${literal})::${type}`
}

function insert(table: string, columns: readonly TypeColumn[], firstId: number): string {
  const values = rowsOf(columns).map((row, index) => `(${[firstId + index, ...row].join(', ')})`)
  return `insert into types.${table} values ${values.join(',\n')};\n`
}

/** Debezium cannot write them, and where a null would not do its task fails. */
const NEVER_REQUIRED = new Set(['abi', 'abi1', 'sv'])

function create({ name, columns }: TypeTable): string {
  const required = columns.filter(([column]) => !NEVER_REQUIRED.has(column))
  const list = columns.map(([column, type]) => `"${column}" ${type}`).join(', ')
  return `
    create table types.${name} (id int primary key, ${list});
    create table types.${name}_full (like types.${name} including all);
    alter table types.${name}_full replica identity full;
    create table types.${name}_required (id int primary key, ${required.map(([column, type]) => `"${column}" ${type} not null`).join(', ')});
    ${insert(name, columns, 1)}${insert(name, columns, 51)}${insert(`${name}_full`, columns, 1)}${insert(`${name}_full`, columns, 51)}
    insert into types.${name}_required select id, ${required.map(([column]) => `"${column}"`).join(', ')} from types.${name} where id = 1;`
}

/** Rows from 51 on stay as they are: what the decoder reads is compared with them. */
function stream({ name, columns }: TypeTable): string {
  return `
    ${insert(name, columns, 101)}
    insert into types.${name}_full select * from types.${name} where id > 100;
    update types.${name}_full set id = id + 1000 where id = 1;
    delete from types.${name}_full where id in (2, 3);
    update types.${name} set id = id + 1000 where id = 1;
    delete from types.${name} where id in (2, 3);
    delete from types.${name}_required;`
}

/** Debezium has no fallback for a timestamp NOT NULL in this mode: the first delete stops its task. */
const STOPS_NANOSECONDS = 'types.times_required'

function tables(group: GroupName): readonly string[] {
  const mine = TYPE_TABLES.filter(({ groups }) => groups?.includes(group) ?? true)
  const all = mine.flatMap(({ name }) => ['', '_full', '_required'].map((suffix) => `types.${name}${suffix}`))
  return all.filter((table) => group !== 'nanoseconds' || table !== STOPS_NANOSECONDS)
}

export const TYPES_CASE: Case = {
  name: 'types',
  tables: Object.fromEntries(ALL_GROUPS.map((group) => [group, tables(group)])),
  setup: `${TYPES}\n${TYPE_TABLES.map(create).join('\n')}`,
  steps: [TYPE_TABLES.map(stream).join('\n')],
}
