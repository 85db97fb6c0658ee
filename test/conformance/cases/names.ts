/** Names that topics cannot have, and large and odd ones (debezium-events.md 1.1, 7). */
import { inGroups, type Case } from '../case.ts'

const LONG = 'l'.repeat(63)
const TABLES = [
  'names.my table-1',
  'names.tablička',
  'names.back\\slash',
  'names.Upper',
  'names.日本',
  `names.${LONG}`,
  'Quoted_" Schema.Quoted_" Table',
  'names.$x',
]

export const NAMES_CASE: Case = {
  name: 'names',
  tables: inGroups(['defaults', 'registered', 'double', 'iso', 'nanoseconds'], TABLES),
  setup: `
    create schema "Quoted_"" Schema";
    ${TABLES.map(
      (
        name,
      ) => `create table ${quoted(name)} ("Id ""x" int primary key, "col-one" text, "1st" int default 3, "žluťoučký" text, "select" int,
      "back\\slash" text, "${LONG}" text); insert into ${quoted(name)} values (1, 'a', null, 'ž', 5, 'b');`,
    ).join('\n')}`,
  steps: [
    TABLES.map((name) => {
      const table = quoted(name)
      return `insert into ${table} values (2, 'a', 1); update ${table} set "1st" = null; update ${table} set "Id ""x" = 3 where "Id ""x" = 2; delete from ${table};`
    }).join('\n'),
  ],
}

function quoted(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')
}
