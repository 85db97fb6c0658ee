/** Unchanged values that are stored out of line (debezium-events.md 5). */
import { ALL_GROUPS, inGroups, type Case } from '../case.ts'

const LETTERS = `(select string_agg(md5(n::text), '') from generate_series(1, 200) n)`
const many = (value: string): string => `(select array_agg(${value}) from generate_series(1, 1500) n)`

export const TOASTED: readonly (readonly [name: string, type: string, value: string])[] = [
  ['te', 'text', LETTERS],
  ['vc', 'varchar', LETTERS],
  ['ch', 'char(6400)', LETTERS],
  ['ci', 'public.citext', LETTERS],
  ['js', 'json', `('"' || ${LETTERS} || '"')::json`],
  ['jb', 'jsonb', `('"' || ${LETTERS} || '"')::jsonb`],
  ['xm', 'xml', `('<a>' || ${LETTERS} || '</a>')::xml`],
  ['tv', 'tsvector', `(select string_agg(md5(n::text), ' ') from generate_series(1, 200) n)::tsvector`],
  ['by', 'bytea', `decode(${LETTERS}, 'hex')`],
  ['nu', 'numeric', `('1' || repeat('1234567890', 1200))::numeric`],
  ['hs', 'public.hstore', `public.hstore('k', ${LETTERS})`],
  ['lt', 'public.ltree', `(select string_agg(md5(n::text), '.') from generate_series(1, 200) n)::public.ltree`],
  ['vb', 'bit varying', `(repeat('10', 20000))::varbit`],
  ['b', 'bit(40000)', `(repeat('10', 20000))::bit(40000)`],
  ['nr', 'numrange', `numrange(1, ('1' || repeat('1234567890', 1200))::numeric)`],
  [
    'po',
    'polygon',
    `(select ('(' || string_agg('(' || n || ',1)', ',') || ')')::polygon from generate_series(1, 500) n)`,
  ],
  ['co', 'public.pair', `row(1, ${LETTERS})::public.pair`],
  ['ge', 'public.geometry', `('0101000020E6100000' || upper(${LETTERS}))::public.geometry`],
  [
    've',
    'public.vector',
    `(select '[' || string_agg(n::text, ',') || ']' from generate_series(1, 1500) n)::public.vector`,
  ],
  ['ate', 'text[]', many('md5(n::text)')],
  ['avc', 'varchar[]', many('md5(n::text)')],
  ['ach', 'char(4)[]', many(`'ab'::char(4)`)],
  ['ajs', 'json[]', many(`'{"a":1}'::json`)],
  ['ajb', 'jsonb[]', many(`'{"a":1}'::jsonb`)],
  ['aby', 'bytea[]', many(`'\\xff'::bytea`)],
  ['ai2', 'smallint[]', many('n::smallint')],
  ['ai4', 'int[]', many('n')],
  ['ai8', 'bigint[]', many('n::bigint')],
  ['ad', 'date[]', many(`'2016-11-04'::date + n`)],
  ['auu', 'uuid[]', many('md5(n::text)::uuid')],
  ['az', 'timestamptz[]', many(`'2016-11-04'::timestamptz`)],
  ['ast', 'timestamp[]', many(`'2016-11-04'::timestamp`)],
  ['ati', 'time[]', many(`'13:51'::time`)],
  ['af8', 'double precision[]', many('n::float8')],
  ['ar4', 'real[]', many('n::real')],
  ['ab', 'boolean[]', `(select array_agg(true) from generate_series(1, 9000) n)`],
  ['anu', 'numeric[]', many('n::numeric')],
  ['an2', 'numeric(10,2)[]', many('n::numeric')],
  ['aen', 'public.mood[]', many(`'happy'::public.mood`)],
  ['ain', 'inet[]', many(`'127.0.0.1'::inet`)],
  ['aci', 'public.citext[]', many(`'CiT'::public.citext`)],
  ['aoi', 'oid[]', many('n::oid')],
  ['ahs', 'public.hstore[]', many(`'a=>1'::public.hstore`)],
  ['ar', 'int4range[]', many('int4range(n, n + 1)')],
]

const NAMES = TOASTED.map(([name]) => name)
const LIST = TOASTED.map(([name, type]) => `${name} ${type}`).join(', ')
const VALUES = TOASTED.map(([, , value]) => value).join(',\n')
const external = (table: string): string => {
  return `alter table toast.${table} ${NAMES.map((name) => `alter ${name} set storage external`).join(', ')};`
}

export const TOAST_CASE: Case = {
  name: 'toast',
  tables: inGroups(ALL_GROUPS, ['toast.by_default', 'toast.full', 'toast.keyed', 'toast.defaulted']),
  setup: `
    create cast (text as public.geometry) with inout; create cast (text as public.vector) with inout;
    create table toast.by_default (id int primary key, n int, ${LIST}); ${external('by_default')}
    create table toast.full (id int primary key, n int, ${LIST}); ${external('full')} alter table toast.full replica identity full;
    create table toast.keyed (id text primary key, n int, v text not null); alter table toast.keyed alter v set storage external;
    create table toast.defaulted (id int primary key, n int, v text default 'x', i int[] default '{1}', b bytea, nn numeric default 5);
    alter table toast.defaulted alter v set storage external, alter i set storage external, alter b set storage external, alter nn set storage external;
    insert into toast.by_default values (1, 1, ${VALUES});
    insert into toast.full select * from toast.by_default;
    insert into toast.keyed select 'k', 1, te from toast.by_default;
    insert into toast.defaulted select 1, 1, te, ai4, by, nu from toast.by_default;`,
  steps: [
    `update toast.by_default set n = 2; update toast.full set n = 2; update toast.keyed set n = 2; update toast.defaulted set n = 2;
     update toast.by_default set te = 'short', ai4 = '{1}', nu = 1; update toast.by_default set id = 2; update toast.keyed set id = 'l';
     update toast.full set id = 2;
     delete from toast.by_default; delete from toast.keyed; delete from toast.defaulted;`,
  ],
}
