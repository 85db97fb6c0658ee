/** DDL between rows (debezium-events.md 7). What is read of the catalog is read late, so nothing else is under way meanwhile. */
import { inGroups, type Case } from '../case.ts'

export const SCHEMA_CHANGES_CASE: Case = {
  name: 'ddl',
  tables: inGroups(
    ['defaults', 'registered', 'double'],
    ['ddl.t', 'ddl.typed', 'ddl.renamed', 'ddl.dropped', 'ddl.leaving'],
  ),
  later: ['ddl[.]renamed_now'],
  setup: `
    create table ddl.t (id int primary key, v text); insert into ddl.t values (1, 'one');
    create table ddl.typed (id int primary key, v int, d numeric(5,1), s varchar(5)); insert into ddl.typed values (1, 1, 1.5, 's');
    create table ddl.renamed (id int primary key, v text); create table ddl.dropped (id int primary key, v text);
    create table ddl.leaving (id int primary key, v text); insert into ddl.dropped values (1, 'a');`,
  steps: [
    `insert into ddl.t values (2, 'two'); insert into ddl.typed values (2, 2, 2, 's'); insert into ddl.renamed values (2, 'r');
     insert into ddl.dropped values (2, 'b'); insert into ddl.leaving values (1, 'a');`,
    `alter table ddl.t add column added int default 7; alter table ddl.typed alter v type bigint, alter d type numeric(10,3), alter s type text;
     alter table ddl.renamed rename to renamed_now;`,
    `update ddl.t set v = 'u'; insert into ddl.t values (3, 'three', null); update ddl.typed set v = v + 1;
     insert into ddl.renamed_now values (3, 'n'); update ddl.renamed_now set v = 'm' where id = 2;`,
    `alter table ddl.t add column z timestamptz not null default now(); alter table ddl.t drop column v; alter table ddl.typed alter v type text;
     alter table ddl.renamed_now rename to renamed; alter table ddl.leaving rename to left_behind;`,
    `insert into ddl.t values (4, 1, '2020-01-01'), (5, 5, '2020-01-01'); delete from ddl.t where id = 1; update ddl.typed set s = 'x';
     insert into ddl.renamed values (4, 'back');`,
    `insert into ddl.left_behind values (2, 'b');`,
    `alter table ddl.t rename column added to named; alter table ddl.t add column v jsonb;
     alter table ddl.typed alter d drop not null, alter s set not null, alter s set default 'now';
     drop table ddl.dropped; create table ddl.dropped (w text primary key);`,
    `update ddl.t set named = 9, v = '{"a":1}' where id = 5; insert into ddl.typed (id, v) values (9, 'x'); delete from ddl.typed;`,
    `alter table ddl.t drop constraint t_pkey; alter table ddl.t add primary key (id, z);`,
    `insert into ddl.t values (7, 7, '2020-01-01', null); update ddl.t set z = '2021-01-01' where id = 7; delete from ddl.t;`,
    `begin; alter table ddl.t add column inside int; insert into ddl.t values (8, 8, '2020-01-01', null, 1); commit;
     begin; alter table ddl.t add column gone int; insert into ddl.t values (9, 9, '2020-01-01', null, 1, 2); rollback;
     insert into ddl.t values (10, 10, '2020-01-01', null, 1);`,
  ],
}
