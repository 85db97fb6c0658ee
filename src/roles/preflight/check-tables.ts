import type { Sql } from 'postgres'

import type { Check, DatabaseContext, Finding } from './finding.ts'
import { enumerate, nearestName, sqlIdentifier, sqlTable } from './names.ts'
import { byTable, type Requirement } from './requirements.ts'
import type { TableFacts } from './table-facts.ts'

/** That the tables and columns exist that views and events name, and can be what a view makes of them. */
export const checkTables: Check<DatabaseContext> = {
  name: 'tables',
  async run({ config, sql, requirements, tables }) {
    const known = await tables()
    const [who] = await sql<{ role: string }[]>`select current_user::text as role`
    const findings: Finding[] = []
    for (const [table, uses] of byTable(requirements)) {
      const facts = known.get(table)
      if (facts) findings.push(...judgeTable(facts, uses, who?.role ?? 'current_user'))
      else findings.push(await missingTable(sql, table, uses, config.source.migrations !== undefined))
    }
    return findings
  },
}

/** Types whose value has one text, or whose texts `canonicalText` (cache/key-template.ts) makes one. */
const CANONICAL_TYPES = new Set(['uuid', 'int2', 'int4', 'int8', 'oid', 'bool', 'text', 'varchar', 'bpchar', 'name'])

/** Pure. */
export function judgeTable(facts: TableFacts, uses: readonly Requirement[], role: string): readonly Finding[] {
  const table = sqlTable(facts.name)
  const users = enumerate(uses.map((use) => use.by))
  if (facts.kind !== 'r' && facts.kind !== 'p') {
    return [
      {
        id: 'table-not-a-table',
        severity: 'error',
        finding: `${facts.name} is a ${facts.kind === 'f' ? 'foreign table' : 'view'}, not a table (${users})`,
        consequence: 'The change log holds no changes of it: what is cached from it goes stale and stays so.',
        mend: 'Name the tables below it; a query view can join them: queryView({ sql, dependsOn: [...] }).',
      },
    ]
  }
  const findings: Finding[] = []
  if (facts.isUnlogged)
    findings.push({
      id: 'table-unlogged',
      severity: 'error',
      finding: `${facts.name} is UNLOGGED (${users})`,
      consequence: 'The change log holds no changes of it: what is cached from it goes stale and stays so.',
      mend: `alter table ${table} set logged;`,
    })
  if (!facts.canRead)
    findings.push({
      id: 'table-unreadable',
      severity: 'error',
      finding: `role ${role} may not read ${facts.name}`,
      consequence: 'The snapshot and every fill fail.',
      mend: `grant select on ${table} to ${sqlIdentifier(role)};`,
    })
  if (facts.isFiltered)
    findings.push({
      id: 'row-security',
      severity: 'error',
      finding: `row security hides rows of ${facts.name} from role ${role}`,
      consequence: 'Fills read fewer rows than the change stream shows: a row that is there is cached as absent.',
      mend: `alter role ${sqlIdentifier(role)} bypassrls;`,
    })
  if (!facts.hasPrimaryKey)
    findings.push({
      id: 'table-without-primary-key',
      severity: 'warning',
      finding: `${facts.name} has no primary key (${users})`,
      consequence: 'Updates and deletes need REPLICA IDENTITY FULL, and nothing but the view says which row is which.',
      mend: `alter table ${table} add primary key (...);`,
    })
  for (const use of uses) findings.push(...missingColumns(facts, use), ...judgeKey(facts, use))
  return findings
}

function missingColumns(facts: TableFacts, use: Requirement): readonly Finding[] {
  const wanted = new Set([...use.columns, ...use.keyColumns])
  return [...wanted]
    .filter((column) => !facts.columns.has(column))
    .map((column) => {
      const near = nearestName(column, facts.columns.keys())
      return {
        id: 'column-missing',
        severity: 'error',
        finding: `${facts.name} has no column ${column}, which ${use.by} names`,
        consequence: 'Every fill of the view fails, and no change can update it.',
        mend: near
          ? `Did you mean ${near}? Correct the configuration.`
          : 'Correct the configuration, or add the column.',
      }
    })
}

function judgeKey(facts: TableFacts, use: Requirement): readonly Finding[] {
  const findings: Finding[] = []
  for (const name of use.keyColumns) {
    const column = facts.columns.get(name)
    if (!column || (isCanonical(column.type) && column.hasDeterministicCollation)) continue
    findings.push({
      id: 'key-text-not-canonical',
      severity: 'warning',
      finding: `${facts.name}.${name} is of type ${column.type}, one value of which can be written in several ways (${use.by})`,
      consequence: 'A reader that asks with another spelling than PostgreSQL writes is never answered from the cache.',
      mend: 'Use a key column of type uuid, integer or text, or ask with the text that PostgreSQL gives for the value.',
    })
  }
  const isUnique = facts.uniqueKeys.some((key) => key.every((column) => use.keyColumns.includes(column)))
  if (use.keyColumns.length > 0 && !isUnique && use.keyColumns.every((column) => facts.columns.has(column)))
    findings.push({
      id: 'key-not-unique',
      severity: 'error',
      finding: `nothing makes ${enumerate(use.keyColumns)} unique in ${facts.name} (${use.by})`,
      consequence: `Two rows can claim one ${use.kind === 'list' ? 'member' : 'key'}: which of them is cached is chance.`,
      mend: `create unique index concurrently on ${sqlTable(facts.name)} (${use.keyColumns.map(sqlIdentifier).join(', ')});`,
    })
  return findings
}

function isCanonical(type: string): boolean {
  return CANONICAL_TYPES.has(type)
}

async function missingTable(
  sql: Sql,
  table: string,
  uses: readonly Requirement[],
  hasMigrations: boolean,
): Promise<Finding> {
  const rows = await sql<{ name: string }[]>`
    select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') limit 5000`
  const near = nearestName(
    table,
    rows.map((row) => row.name),
  )
  const hint = near ? `Did you mean ${near}?` : 'Correct the configuration, or create the table.'
  return {
    id: 'table-missing',
    severity: 'error',
    finding: `there is no table ${table}, which ${enumerate(uses.map((use) => use.by))} ${uses.length === 1 ? 'names' : 'name'}`,
    consequence: 'The change stream cannot be opened.',
    mend: hasMigrations && !near ? 'Run the migrations: ./trackops up, or trackops run, does so when it starts.' : hint,
  }
}
