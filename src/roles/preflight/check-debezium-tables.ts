import type { Check, DatabaseContext, Finding } from './finding.ts'
import { enumerate, sqlTable } from './names.ts'
import { byTable, type Requirement } from './requirements.ts'
import type { ColumnFacts, TableFacts } from './table-facts.ts'

/** Tables and columns that Debezium does not tell whole, whatever its configuration. Our own capture does. */
export const checkDebeziumTables: Check<DatabaseContext> = {
  name: 'tables as Debezium tells them',
  async run({ requirements, tables }) {
    const known = await tables()
    return [...byTable(requirements)].flatMap(([table, uses]) => {
      const facts = known.get(table)
      return facts && (facts.kind === 'r' || facts.kind === 'p') ? judgeDebeziumTable(facts, uses) : []
    })
  },
}

/** It has no mapping for these: the column is not in the record. */
const LEFT_OUT = new Set(
  'box circle line lseg path polygon pg_lsn xid8 jsonpath tsquery regclass _money _name _interval _varbit _xml _point _refcursor'.split(
    ' ',
  ),
)
/** Arrays whose placeholder for "was not sent" is not null. */
const KNOWN_WHEN_UNSENT = new Set('_text _varchar _bpchar _json _jsonb _bytea _int4 _int8 _date _uuid'.split(' '))

/** Pure. */
export function judgeDebeziumTable(facts: TableFacts, uses: readonly Requirement[]): readonly Finding[] {
  const findings: Finding[] = []
  const full = `alter table ${sqlTable(facts.name)} replica identity full;`
  const users = enumerate(uses.map((use) => use.by))
  if (!facts.hasPrimaryKey && facts.uniqueKeys.length === 0)
    findings.push({
      id: 'debezium-no-key',
      severity: 'error',
      finding: `${facts.name} has no primary key and no unique index: Debezium's records of it have no key (${users})`,
      consequence: 'Changes of one row are spread over all partitions and overtake each other.',
      mend: `alter table ${sqlTable(facts.name)} add primary key (...);`,
    })
  if (facts.members.some(({ identity }) => identity === 'i'))
    findings.push({
      id: 'debezium-identity-index',
      severity: 'error',
      finding: `${facts.name} has replica identity index: Debezium's records of its deletes have a wrong key (${users})`,
      consequence: 'A delete goes to another partition than the other changes of its row, and can overtake them.',
      mend: full,
    })
  const isFull = facts.members.every(({ identity }) => identity === 'f')
  for (const use of uses) findings.push(...judgeColumns(facts, use, isFull, full))
  return findings
}

function judgeColumns(facts: TableFacts, use: Requirement, isFull: boolean, full: string): readonly Finding[] {
  const columns = [...new Set([...use.columns, ...use.keyColumns])].flatMap((name) => facts.columns.get(name) ?? [])
  const named = (matches: (column: ColumnFacts) => boolean): string =>
    enumerate(columns.filter(matches).map(({ name, type }) => `${name} (${type})`))
  const findings: Finding[] = []
  const names = named(({ type }) => type === 'name')
  if (names !== '')
    findings.push({
      id: 'debezium-null-type',
      severity: 'error',
      finding: `Debezium writes NULL for ${names} of ${facts.name} in every change, which ${use.by} needs`,
      consequence: 'NULL is cached and announced in place of what is there.',
      mend: 'Make it a column of type text, or leave it out of the configuration.',
    })
  const leftOut = named(isLeftOut)
  if (leftOut !== '' && use.kind !== 'query')
    findings.push({
      id: 'debezium-left-out',
      severity: use.kind === 'events' ? 'error' : 'warning',
      finding: `Debezium leaves out ${leftOut} of ${facts.name}, which ${use.by} needs`,
      consequence:
        use.kind === 'events'
          ? 'No change has what the event is made from.'
          : 'No change is a whole row: after each one the entry is read from the database.',
      mend: 'Make it a column of type text, or leave it out of the configuration.',
    })
  const unsent = isFull
    ? ''
    : named(
        (column) => column.isArray && column.isToastable && !isLeftOut(column) && !KNOWN_WHEN_UNSENT.has(column.type),
      )
  if (unsent !== '')
    findings.push({
      id: 'debezium-unsent-null',
      severity: 'error',
      finding: `Debezium writes NULL for ${unsent} of ${facts.name} where a long value was not changed (${use.by})`,
      consequence: 'Nobody can tell it from a NULL: it is cached and announced in place of what is there.',
      mend: full,
    })
  return findings
}

function isLeftOut({ type, typeKind, isArray }: ColumnFacts): boolean {
  return (
    LEFT_OUT.has(type) ||
    LEFT_OUT.has(type.replace(/^_/, '')) ||
    'cm'.includes(typeKind) ||
    (isArray && typeKind === 'd')
  )
}
