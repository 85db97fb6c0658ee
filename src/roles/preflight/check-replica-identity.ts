import type { Check, DatabaseContext, Finding } from './finding.ts'
import { enumerate, sqlTable } from './names.ts'
import { byTable, type Requirement } from './requirements.ts'
import type { ColumnFacts, MemberFacts, TableFacts } from './table-facts.ts'

/** Whether an update and a delete bring the old values that views and events need, and all of the new ones. */
export const checkReplicaIdentity: Check<DatabaseContext> = {
  name: 'replica identity',
  async run({ requirements, tables }) {
    const known = await tables()
    return [...byTable(requirements)].flatMap(([table, uses]) => {
      const facts = known.get(table)
      return facts ? judgeReplicaIdentity(facts, uses) : []
    })
  },
}

const IDENTITY_NAMES = { d: 'default', f: 'full', i: 'index', n: 'nothing' } as const

/** Pure. */
export function judgeReplicaIdentity(facts: TableFacts, uses: readonly Requirement[]): readonly Finding[] {
  if (facts.kind !== 'r' && facts.kind !== 'p') return []
  return facts.members.flatMap((member): readonly Finding[] => {
    if (member.identity === 'f') return virtual(facts, member)
    const identity = `replica identity ${IDENTITY_NAMES[member.identity]}`
    const mend = `alter table ${sqlTable(member.name)} replica identity full;`
    if (member.identityColumns.length === 0) {
      return [
        {
          id: 'replica-identity-unusable',
          severity: 'error',
          finding: `${member.name} has ${identity} and no key that it could use`,
          consequence:
            'Once it is published, every UPDATE and DELETE of it fails. TrackOps does not publish such a table, and does not start.',
          mend,
        },
      ]
    }
    return uses.flatMap((use) => [...weak(member, use, identity, mend), ...partial(facts, member, use, identity, mend)])
  })
}

/** FULL takes in every column, and a virtual one is never published: PostgreSQL 18 refuses each UPDATE and DELETE then. */
function virtual(facts: TableFacts, member: MemberFacts): readonly Finding[] {
  const columns = [...facts.columns.values()].flatMap(({ name, isVirtual }) => (isVirtual ? [name] : []))
  if (columns.length === 0) return []
  return [
    {
      id: 'replica-identity-unusable',
      severity: 'error',
      finding: `${member.name} has replica identity full and the virtual generated ${columns.length === 1 ? 'column' : 'columns'} ${enumerate(columns)}`,
      consequence:
        'While it is published, every UPDATE and DELETE of it fails; TrackOps does not publish such a table anew, and does not start.',
      mend: `Drop the column or make it STORED; or, for a table whose views need no old values but the key's: alter table ${sqlTable(member.name)} replica identity default;`,
    },
  ]
}

function weak(member: MemberFacts, use: Requirement, identity: string, mend: string): readonly Finding[] {
  const lacking = use.oldColumns.filter((column) => !member.identityColumns.includes(column))
  if (lacking.length === 0) return []
  return [
    {
      id: 'replica-identity-weak',
      severity: 'error',
      finding: `${member.name} has ${identity}: an old row lacks ${enumerate(lacking)}, which ${use.by} needs`,
      consequence:
        use.kind === 'events'
          ? 'Updates and deletes come without the old row: events that depend on it are missed, or made wrongly.'
          : 'An update or delete does not say which old key it makes stale: each one makes TrackOps forget the whole view.',
      mend,
    },
  ]
}

/** By their type, these hold long values more often than not. Texts are judged by whether long ones are there. */
const WIDE_TYPES = new Set(['json', 'jsonb', 'bytea', 'xml', 'tsvector', 'hstore'])

function partial(
  facts: TableFacts,
  member: MemberFacts,
  use: Requirement,
  identity: string,
  mend: string,
): readonly Finding[] {
  if (use.kind === 'query') return []
  const wide = use.columns.filter((name) => {
    const column = facts.columns.get(name)
    return column !== undefined && !member.identityColumns.includes(name) && isWide(column, member)
  })
  if (wide.length === 0) return []
  return [
    {
      id: 'wide-columns-partial',
      severity: use.kind === 'events' ? 'error' : 'warning',
      finding: `${member.name} has ${identity}, and ${enumerate(wide)} of ${use.by} can be too long to be in every change`,
      consequence:
        use.kind === 'events'
          ? 'An update that leaves such a value alone does not bring it: the event has no new row to be made from.'
          : 'An update that leaves such a value alone does not bring it: the entry is dropped and read from the database again.',
      mend,
    },
  ]
}

function isWide(column: ColumnFacts, member: MemberFacts): boolean {
  return column.isToastable && (WIDE_TYPES.has(column.type) || column.isArray || member.toastBytes > 0)
}
