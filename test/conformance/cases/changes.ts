/** Transactions, bulk, TRUNCATE, messages, partitions, inheritance, generated columns, large rows (debezium-events.md 7, 8, 10.2). */
import { inGroups, type Case } from '../case.ts'

const COMMON = [
  'a',
  'b',
  'parent_of_truncate',
  'child_of_truncate',
  'ancestor',
  'descendant',
  'generated',
  'unpublished_columns',
].map((table) => `changes.${table}`)
const LEAVES = ['changes.part_eu', 'changes.part_us', 'changes.part_rest']

export const CHANGES_CASE: Case = {
  name: 'changes',
  tables: {
    ...inGroups(['defaults'], [...COMMON, ...LEAVES, 'changes.large']),
    ...inGroups(['registered'], [...COMMON, 'changes.part', 'changes.large']),
    ...inGroups(['double', 'iso'], [...COMMON, ...LEAVES]),
  },
  setup: `
    create table changes.a (id int primary key, v text); create table changes.b (id int primary key, v text);
    create table changes.parent_of_truncate (id int primary key);
    create table changes.child_of_truncate (id serial primary key, parent int references changes.parent_of_truncate);
    create table changes.ancestor (id int primary key, v text); create table changes.descendant (w text, primary key (id)) inherits (changes.ancestor);
    create table changes.generated (id int primary key, a int, doubled int generated always as (a * 2) stored, v text);
    create table changes.unpublished_columns (id int primary key, a int, b int);
    create table changes.part (id int, region text, v text, primary key (id, region)) partition by list (region);
    create table changes.part_eu partition of changes.part for values in ('eu');
    create table changes.part_us partition of changes.part for values in ('us');
    create table changes.part_rest partition of changes.part default;
    create table changes.large (id int primary key, v text, b bytea, n int);
    insert into changes.a values (1, 'one'); insert into changes.ancestor values (1, 'a'); insert into changes.descendant values (2, 'd', 'w');
    insert into changes.generated (id, a) values (1, 1); insert into changes.part values (1, 'eu', 'x'), (2, 'xx', 'y');
    insert into changes.large values (1, repeat('ž"', 700000), decode(repeat('00ff', 500000), 'hex'), 1);`,
  steps: [
    `begin; insert into changes.a values (10, 'x'), (11, 'y'); insert into changes.b values (10, 'x'); update changes.a set v = 'z';
       delete from changes.b; insert into changes.b values (10, 'again'); commit;
     begin; insert into changes.a values (20, 'kept'); savepoint s; insert into changes.a values (21, 'lost'); rollback to s;
       insert into changes.b values (22, 'kept'); savepoint t; update changes.a set v = 'kept' where id = 20; release t; commit;
     begin; insert into changes.a values (30, 'lost'); rollback;
     do $$ begin begin insert into changes.a values (31, 'lost'); perform 1 / 0; exception when division_by_zero then insert into changes.a values (32, 'kept'); end; end $$;
     copy changes.a from program 'seq -f "%g	copied" 100 120';
     insert into changes.b select n, 'many' from generate_series(100, 200) n; update changes.b set v = 'all'; delete from changes.b;
     insert into changes.b select n, 'again' from generate_series(1, 3) n;`,
    `insert into changes.parent_of_truncate values (1), (2); insert into changes.child_of_truncate (parent) values (1);
     truncate changes.a; truncate changes.parent_of_truncate cascade; truncate changes.a, changes.b restart identity;
     begin; insert into changes.a values (1, 'before'); truncate changes.a; insert into changes.a values (2, 'after'); commit;
     begin; insert into changes.a values (3, 'x'); truncate changes.a; commit;`,
    `select pg_logical_emit_message(false, 'alone', 'ž"');
     begin; insert into changes.a values (50, 'a'); select pg_logical_emit_message(true, 'inside', 'bar'); select pg_logical_emit_message(false, 'beside', '\\x00ff'::bytea);
       select pg_logical_emit_message(true, 'other "prefix"', ''); insert into changes.a values (51, 'b'); commit;
     begin; select pg_logical_emit_message(true, 'only', 'x'); commit;
     begin; select pg_logical_emit_message(true, 'lost', 'x'); rollback;
     insert into changes.a values (52, 'after messages');`,
    `select pg_replication_origin_create('elsewhere'); select pg_replication_origin_session_setup('elsewhere');
     begin; select pg_replication_origin_xact_setup('0/1234ABCD', '2020-01-01'); insert into changes.a values (60, 'from elsewhere'), (61, 'too');
       select pg_logical_emit_message(true, 'from elsewhere', 'x'); commit;
     select pg_replication_origin_session_reset(); insert into changes.a values (62, 'from here');`,
    `insert into changes.ancestor values (3, 'a'); insert into changes.descendant values (4, 'd', 'w'); update changes.ancestor set v = 'u';
     delete from changes.ancestor;
     insert into changes.generated (id, a) values (2, 5); update changes.generated set a = 6; delete from changes.generated;
     insert into changes.part values (3, 'us', 'z'), (4, 'eu', 'e'), (5, 'zz', 'r'); update changes.part set v = 'u'; update changes.part set region = 'us' where id = 4;
     update changes.part set id = 6 where id = 3; delete from changes.part where id = 5; truncate changes.part_us; truncate changes.part;
     insert into changes.large values (2, repeat('x', 2000000), null, 1); update changes.large set n = 2; delete from changes.large;`,
  ],
}
