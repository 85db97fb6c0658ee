import type { Check, DatabaseContext, Finding } from './finding.ts'
import { enumerate, sqlIdentifier, sqlTable } from './names.ts'
import { byTable, type Requirement } from './requirements.ts'
import type { TableFacts } from './table-facts.ts'

/** Whether the publication hands on every change of every column that views and events need. */
export const checkPublication: Check<DatabaseContext> = {
  name: 'publication',
  async run({ sql, config, requirements, tables }) {
    const { publication, slot } = config.source
    const known = await tables()
    // as JSON: row filters and column lists came with PostgreSQL 15
    const [state] = await sql<PublicationState[]>`
      select pubinsert as "hasInsert", pubupdate as "hasUpdate", pubdelete as "hasDelete", pubtruncate as "hasTruncate",
             pubviaroot as "isViaRoot",
             current_setting('server_version_num')::int < 180000 or to_jsonb(p) ->> 'pubgencols' = 's' as "allowsStoredIdentity",
             (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from pg_publication_tables t where t.pubname = p.pubname) as published
        from pg_publication p where pubname = ${publication}`
    const [rights] = await sql<{ hasSlot: boolean; mayCreate: boolean }[]>`
      select exists (select from pg_replication_slots where slot_name = ${slot}) as "hasSlot",
             has_database_privilege(current_database(), 'create') as "mayCreate"`
    if (!state) return [missing(publication, [...known.values()], rights ?? { hasSlot: false, mayCreate: false })]
    return judgePublication(publication, state, known, requirements)
  },
}

export interface PublicationState {
  readonly hasInsert: boolean
  readonly hasUpdate: boolean
  readonly hasDelete: boolean
  readonly hasTruncate: boolean
  /** Changes of partitions are told as changes of the table that they belong to. */
  readonly isViaRoot: boolean
  /** Rows of FULL identity may hold stored generated columns: from PostgreSQL 18 on they have to be published then. */
  readonly allowsStoredIdentity: boolean
  /** Rows of `pg_publication_tables`. */
  readonly published: readonly {
    readonly schemaname: string
    readonly tablename: string
    readonly attnames?: readonly string[] | null
    readonly rowfilter?: string | null
  }[]
}

/** Pure. */
export function judgePublication(
  publication: string,
  state: PublicationState,
  tables: ReadonlyMap<string, TableFacts>,
  requirements: readonly Requirement[],
): readonly Finding[] {
  const name = sqlIdentifier(publication)
  const findings: Finding[] = []
  const operations = {
    insert: state.hasInsert,
    update: state.hasUpdate,
    delete: state.hasDelete,
    truncate: state.hasTruncate,
  }
  const silent = Object.entries(operations).flatMap(([operation, isTold]) => (isTold ? [] : [operation.toUpperCase()]))
  if (silent.length > 0)
    findings.push({
      id: 'publication-operations',
      severity: 'error',
      finding: `publication ${publication} does not publish ${enumerate(silent)}`,
      consequence: 'Such changes never arrive: what is cached of their rows stays as it was.',
      mend: `alter publication ${name} set (publish = 'insert, update, delete, truncate');`,
    })
  const published = new Map(state.published.map((row) => [`${row.schemaname}.${row.tablename}`, row]))
  for (const [table, uses] of byTable(requirements)) {
    const facts = tables.get(table)
    if (!facts || (facts.kind !== 'r' && facts.kind !== 'p')) continue
    const row = published.get(table)
    if (!state.allowsStoredIdentity) findings.push(...judgeStoredIdentity(publication, facts))
    if (row) findings.push(...judgeRow(publication, facts, uses, row))
    else if (facts.kind === 'p' && !state.isViaRoot && facts.members.some((member) => published.has(member.name)))
      findings.push({
        id: 'publication-partitions',
        severity: 'error',
        finding: `publication ${publication} tells changes of ${table} under the names of its partitions`,
        consequence: 'No view and no event is of such a name: the changes pass by.',
        mend: `alter publication ${name} set (publish_via_partition_root = true);`,
      })
    else
      findings.push({
        id: 'publication-lacks-table',
        severity: 'error',
        finding: `publication ${publication} lacks ${table} (${enumerate(uses.map((use) => use.by))})`,
        consequence: 'Its changes never arrive: what is cached of it goes stale and stays so.',
        mend: `alter publication ${name} add table ${sqlTable(table)};`,
      })
  }
  return findings
}

function judgeStoredIdentity(publication: string, facts: TableFacts): readonly Finding[] {
  const stored = [...facts.columns.values()].flatMap(({ name, isGenerated, isVirtual }) =>
    isGenerated && !isVirtual ? [name] : [],
  )
  if (stored.length === 0 || !facts.members.some(({ identity }) => identity === 'f')) return []
  return [
    {
      id: 'publication-lacks-identity',
      severity: 'error',
      finding: `publication ${publication} does not publish generated columns, and the replica identity full of ${facts.name} has ${enumerate(stored)}`,
      consequence: `Every UPDATE and DELETE of ${facts.name} fails.`,
      mend: `alter publication ${sqlIdentifier(publication)} set (publish_generated_columns = stored);`,
    },
  ]
}

function judgeRow(
  publication: string,
  facts: TableFacts,
  uses: readonly Requirement[],
  row: PublicationState['published'][number],
): readonly Finding[] {
  const findings: Finding[] = []
  const again = `alter publication ${sqlIdentifier(publication)} drop table ${sqlTable(facts.name)}; alter publication ${sqlIdentifier(publication)} add table ${sqlTable(facts.name)};`
  if (row.rowfilter != null)
    findings.push({
      id: 'publication-row-filter',
      severity: 'error',
      finding: `publication ${publication} has a row filter (WHERE) on ${facts.name}`,
      consequence: 'Changes of rows outside of it never arrive, though such rows are cached when they are read.',
      mend: again,
    })
  const names = row.attnames
  if (!names) return findings
  for (const use of uses) {
    const hidden = [...new Set([...use.columns, ...use.keyColumns])].filter(
      (column) => facts.columns.has(column) && !names.includes(column),
    )
    if (hidden.length === 0) continue
    const isGenerated = hidden.every((column) => facts.columns.get(column)?.isGenerated === true)
    findings.push({
      id: 'publication-lacks-columns',
      severity: 'error',
      finding: `publication ${publication} leaves out ${enumerate(hidden)} of ${facts.name}, which ${use.by} needs`,
      consequence: 'No change is a whole row for it: entries are dropped instead of updated, events are missed.',
      mend: isGenerated
        ? `alter publication ${sqlIdentifier(publication)} set (publish_generated_columns = stored); -- PostgreSQL 18; before: leave generated columns out of the view`
        : again,
    })
  }
  return findings
}

function missing(
  publication: string,
  tables: readonly TableFacts[],
  rights: { readonly hasSlot: boolean; readonly mayCreate: boolean },
): Finding {
  const publishable = tables.filter(({ kind }) => kind === 'r' || kind === 'p')
  const viaRoot = publishable.some(({ kind }) => kind === 'p') ? ' with (publish_via_partition_root = true)' : ''
  const list = publishable.map(({ name }) => sqlTable(name)).join(', ')
  const isMade = !rights.hasSlot && rights.mayCreate && viaRoot === ''
  return {
    id: 'publication-missing',
    severity: isMade ? 'info' : 'error',
    finding: `there is no publication ${publication}`,
    consequence: isMade
      ? 'None: TrackOps makes it when it first starts.'
      : 'The change stream breaks off: not a single change arrives.',
    mend: `create publication ${sqlIdentifier(publication)} for table ${list || '...'}${viaRoot};`,
  }
}
