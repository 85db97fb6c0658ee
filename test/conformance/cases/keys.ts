/** Keys, replica identities, key changes, deletes (debezium-events.md 4.2, 6). */
import { inGroups, type Case } from '../case.ts'

const TYPED = `n numeric(10,2), nu numeric, z timestamptz, u uuid, b bytea, d date, s timestamp, t text, bo boolean, e keys.colour, i8 bigint`
const TYPED_ROW = `-1.5, 1.10, '2016-11-04 13:51:30.1+02', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\xfffe', '2016-11-04',
  '2016-11-04 13:51:30.123456', 'ž"', true, 'red', 9223372036854775807`

const TABLES = [
  'key_order',
  'key_with_include',
  'typed',
  'key_default',
  'nullable_unique',
  'two_uniques',
  'odd_uniques',
  'without',
  'without_full',
  'nothing',
  'by_index',
  'by_index_with_key',
  'full',
  'changing',
  'swapped',
  'one_column',
].map((table) => `keys.${table}`)

export const KEYS_CASE: Case = {
  name: 'keys',
  tables: inGroups(['defaults', 'registered', 'double', 'iso'], TABLES),
  setup: `
    create type keys.colour as enum ('red', 'green');
    create table keys.key_order (b text, c text not null, a int, primary key (a, b));
    create table keys.key_with_include (id int, v text, w text, primary key (id) include (v));
    create table keys.typed (${TYPED}, v int, primary key (n, nu, z, u, b, d, s, t, bo, e, i8));
    create table keys.key_default (id int default 7 primary key, v text default 'x');
    create table keys.nullable_unique (a int unique, b text);
    alter table keys.nullable_unique replica identity full;
    create table keys.two_uniques (a int, b int, c int);
    create unique index z_index on keys.two_uniques (a); create unique index a_index on keys.two_uniques (b, c);
    alter table keys.two_uniques replica identity full;
    create table keys.odd_uniques (a text, b int, c int);
    create unique index a_expression on keys.odd_uniques (lower(a)); create unique index b_partial on keys.odd_uniques (b) where b > 0;
    alter table keys.odd_uniques replica identity full;
    create table keys.without (a int, b text);
    create table keys.without_full (a int, b text not null);
    alter table keys.without_full replica identity full;
    create table keys.nothing (id int primary key, v text);
    alter table keys.nothing replica identity nothing;
    create table keys.by_index (id int primary key, code text not null, v text, w int not null);
    create unique index by_index_code on keys.by_index (code);
    alter table keys.by_index replica identity using index by_index_code;
    create table keys.by_index_with_key (id int primary key, code text not null, v text);
    create unique index by_index_both on keys.by_index_with_key (code, id);
    alter table keys.by_index_with_key replica identity using index by_index_both;
    create table keys.full (id int primary key, v text not null, w int default 5);
    alter table keys.full replica identity full;
    create table keys.changing (id int primary key, v text);
    create table keys.swapped (id int primary key deferrable initially deferred, v text);
    alter table keys.swapped replica identity full;
    create table keys.one_column (id int primary key);
    insert into keys.key_order values ('b', 'c', 1);
    insert into keys.typed values (${TYPED_ROW}, 1);
    insert into keys.without values (1, 'one');
    insert into keys.by_index values (1, 'one', 'v', 5);
    insert into keys.swapped values (1, 'a'), (2, 'b'), (3, 'c');`,
  steps: [
    `
    insert into keys.key_order values ('x', 'y', 2), ('x', 'y', 3);
    update keys.key_order set c = 'z' where a = 2; update keys.key_order set b = 'y' where a = 2;
    update keys.key_order set a = 4, b = 'q', c = 'n' where a = 3; delete from keys.key_order;
    insert into keys.key_with_include values (1, 'v', 'w'); update keys.key_with_include set v = 'x'; update keys.key_with_include set id = 2;
    delete from keys.key_with_include;
    update keys.typed set v = 2; update keys.typed set n = 3; update keys.typed set z = '2020-01-01', s = '1969-12-31'; delete from keys.typed;
    insert into keys.key_default default values; update keys.key_default set v = null; update keys.key_default set id = 8; delete from keys.key_default;
    insert into keys.nullable_unique values (1, 'a'), (null, 'b'); update keys.nullable_unique set b = 'c';
    update keys.nullable_unique set a = 2 where a = 1; update keys.nullable_unique set a = 3 where a is null; delete from keys.nullable_unique;
    insert into keys.two_uniques values (1, 2, 3); update keys.two_uniques set a = 2; update keys.two_uniques set b = 9; delete from keys.two_uniques;
    insert into keys.odd_uniques values ('a', 1, 2); update keys.odd_uniques set c = 3; update keys.odd_uniques set b = 9; delete from keys.odd_uniques;
    insert into keys.without values (2, 'two'), (2, 'two');
    insert into keys.without_full values (1, 'a'); update keys.without_full set a = 2; update keys.without_full set a = 2; delete from keys.without_full;
    insert into keys.nothing values (1, 'a');
    insert into keys.by_index values (2, 'two', 'v', 5); update keys.by_index set v = 'w' where id = 2; update keys.by_index set code = 'ii' where id = 2;
    update keys.by_index set id = 3 where id = 2; update keys.by_index set id = 4, code = 'iii' where id = 3; delete from keys.by_index;
    insert into keys.by_index_with_key values (1, 'a', 'v'); update keys.by_index_with_key set v = 'w'; update keys.by_index_with_key set code = 'b';
    update keys.by_index_with_key set id = 2; delete from keys.by_index_with_key;
    insert into keys.full values (1, 'a', null); update keys.full set v = 'b'; update keys.full set v = v; update keys.full set id = 2; delete from keys.full;
    insert into keys.changing values (1, 'a'); update keys.changing set v = 'b';
    begin; update keys.swapped set id = case id when 1 then 3 when 2 then 1 else 2 end; commit;
    insert into keys.one_column values (1); update keys.one_column set id = 1; update keys.one_column set id = 2; delete from keys.one_column;`,
    'alter table keys.changing replica identity full; update keys.changing set v = null;',
    'alter table keys.changing replica identity default; update keys.changing set v = null; delete from keys.changing;',
    `alter table keys.changing drop constraint changing_pkey; alter table keys.changing add constraint changing_key primary key (v);
     alter table keys.by_index replica identity default;`,
    `insert into keys.changing values (5, 'key'); insert into keys.by_index values (6, 'six', 'v', 1); update keys.by_index set code = 'seven';`,
    `delete from keys.changing; delete from keys.by_index;`,
  ],
}
