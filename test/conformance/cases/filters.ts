/** Columns left out, masked, cut and hashed; keys by configuration (debezium-events.md 6.2, 7). The rules are the group's. */
import { inGroups, type Case } from '../case.ts'

export const FILTERS_CASE: Case = {
  name: 'filters',
  tables: {
    ...inGroups(['nanoseconds'], ['filters.columns', 'filters.keyed', 'filters.keyed_default', 'filters.unchanged']),
    ...inGroups(['with-schemas'], ['filters.some']),
  },
  setup: `
    create table filters.columns (id int primary key, hidden text, kept text, masked text, masked_null text, masked_5 varchar(5), masked_int int, amount numeric(5,1),
      emptied text, hash text, hash_10 varchar(10), hash_null text, hash_char char(4), hash_emoji text, v2_hash text, v2_hash_10 varchar(10), cut text, cut_short text, cut_emoji text, cut_null text);
    create table filters.keyed (id int primary key, a int, b text, v text); alter table filters.keyed replica identity full;
    create table filters.keyed_default (id int primary key, b text not null, v text);
    create table filters.unchanged (id int primary key, v text); alter table filters.unchanged replica identity full;
    create table filters.some (id int primary key, a int, b int, c text);
    insert into filters.columns values (1, 'h', 'k', 'secret', null, 'abc', 5, 1.5, 'e', 'password', 'password', null, 'ab', 'ž😀', 'password', 'password', 'abcdef', 'a', 'a😀b', null);
    insert into filters.keyed values (1, 2, 'b', 'v'); insert into filters.keyed_default values (1, 'b', 'v'); insert into filters.some values (1, 2, 3, 'c');`,
  steps: [
    `insert into filters.columns select 2, hidden, kept, masked, masked_null, masked_5, masked_int, amount, emptied, hash, hash_10, hash_null, hash_char, hash_emoji, v2_hash,
       v2_hash_10, cut, cut_short, cut_emoji, cut_null from filters.columns;
     update filters.columns set kept = 'l' where id = 2; update filters.columns set id = 3 where id = 2; delete from filters.columns;
     update filters.keyed set v = 'w'; update filters.keyed set b = 'c'; update filters.keyed set id = 9; insert into filters.keyed values (5, null, null, 'v'); delete from filters.keyed;
     update filters.keyed_default set v = 'w'; update filters.keyed_default set b = 'c'; update filters.keyed_default set id = 2; delete from filters.keyed_default;
     insert into filters.unchanged values (1, 'a'); update filters.unchanged set v = 'a'; update filters.unchanged set v = 'b'; delete from filters.unchanged;
     insert into filters.some values (2, 3, 4, 'd'); update filters.some set b = 5; update filters.some set id = 7 where id = 2; delete from filters.some;`,
  ],
}
