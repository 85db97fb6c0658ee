import { isRunning } from '../connector/register-connector.ts'
import type { ConnectContext } from './check-connector.ts'
import type { Check, DatabaseContext, Finding } from './finding.ts'
import { enumerate, sqlIdentifier, sqlTable } from './names.ts'
import { byTable } from './requirements.ts'

export type CaptureRoleContext = DatabaseContext & Pick<ConnectContext, 'running' | 'ours'>

/** The role that the connector has in the database: what it needs, as deploy/sql/capture-role.sql gives it, and what it has beyond. */
export const checkCaptureRole: Check<CaptureRoleContext> = {
  name: 'capture role',
  async run({ sql, config, requirements, running, ours }) {
    const role = running?.config['database.user'] ?? ours.config['database.user'] ?? ''
    const wanted = [...byTable(requirements).keys()]
    const { publication, slot } = config.source
    const [facts] = await sql<CaptureRoleFacts[]>`
      select r.rolname::text as role, r.rolcanlogin as "mayLogIn",
             r.rolreplication or r.rolsuper or exists (
               select from pg_roles a where a.rolname in ('rds_replication', 'rds_superuser', 'rdsrepladmin', 'rdsadmin')
                  and pg_has_role(r.oid, a.oid, 'member')) as "mayReplicate",
             r.rolsuper as "isSuperuser", current_database()::text as database,
             has_database_privilege(r.oid, current_database(), 'connect') as "mayConnect",
             has_database_privilege(r.oid, current_database(), 'create') as "mayCreate",
             array(select distinct n.nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where n.nspname || '.' || c.relname = any(${wanted}) and not has_schema_privilege(r.oid, n.oid, 'usage')) as "closedSchemas",
             array(select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where n.nspname || '.' || c.relname = any(${wanted}) and not has_table_privilege(r.oid, c.oid, 'select')) as unreadable,
             array(select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where n.nspname || '.' || c.relname = any(${wanted})
                      and has_table_privilege(r.oid, c.oid, 'insert, update, delete, truncate')) as writable,
             array(select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where n.nspname || '.' || c.relname = any(${wanted})
                      and not pg_has_role(r.oid, c.relowner, 'usage')) as "foreignTables",
             (select pg_has_role(r.oid, p.pubowner, 'usage') from pg_publication p where p.pubname = ${publication}) as "ownsPublication",
             array(select t.schemaname || '.' || t.tablename from pg_publication_tables t where t.pubname = ${publication}) as published
        from pg_roles r where r.rolname = ${role}`
    const [reading] = await sql<{ isRead: boolean }[]>`
      select exists (select from pg_replication_slots where slot_name = ${slot} and active) as "isRead"`
    return [
      ...judgeCaptureRole(role, facts, { publication, wanted }),
      ...(running && isRunning(running.status) && reading?.isRead === false ? [onlySaysSo(running.name, slot)] : []),
    ]
  },
}

export interface CaptureRoleFacts {
  readonly role: string
  readonly mayLogIn: boolean
  readonly mayReplicate: boolean
  readonly isSuperuser: boolean
  readonly database: string
  readonly mayConnect: boolean
  /** May make things in the database. */
  readonly mayCreate: boolean
  readonly closedSchemas: readonly string[]
  readonly unreadable: readonly string[]
  readonly writable: readonly string[]
  /** Those that it does not own. */
  readonly foreignTables: readonly string[]
  /** Null: there is no such publication yet. */
  readonly ownsPublication: boolean | null
  readonly published: readonly string[]
}

/** Debezium tries some failures again by itself, without end; Kafka Connect takes that for running. */
function onlySaysSo(name: string, slot: string): Finding {
  return {
    id: 'connector-not-reading',
    severity: 'error',
    finding: `Kafka Connect says that connector ${name} runs, but nobody reads slot ${slot}`,
    consequence: 'No change reaches Kafka: the cache grows old, and WAL is retained.',
    mend: "The worker's log has the reason (a Producer failure); other findings may name it.",
  }
}

const SCRIPT = 'deploy/sql/capture-role.sql'

/** Pure. */
export function judgeCaptureRole(
  role: string,
  facts: CaptureRoleFacts | undefined,
  { publication, wanted }: { readonly publication: string; readonly wanted: readonly string[] },
): readonly Finding[] {
  if (!facts)
    return [
      {
        id: 'capture-role-missing',
        severity: 'error',
        finding: `the database has no role ${role}, which the connector names`,
        consequence: 'The connector cannot log in.',
        mend: `${SCRIPT} makes it.`,
      },
    ]
  const name = sqlIdentifier(role)
  const findings: Finding[] = []
  const lacks = (what: string, consequence: string, mend: string): void =>
    void findings.push({
      id: 'capture-role-lacks',
      severity: 'error',
      finding: `role ${role} ${what}`,
      consequence,
      mend,
    })
  if (!facts.mayLogIn) lacks('may not log in', 'The connector cannot connect.', `alter role ${name} login;`)
  if (!facts.mayReplicate)
    lacks('has no REPLICATION', 'The connector can neither make nor read its slot.', `alter role ${name} replication;`)
  if (!facts.mayConnect)
    lacks(
      `may not connect to ${facts.database}`,
      'The connector cannot connect.',
      `grant connect on database ${sqlIdentifier(facts.database)} to ${name};`,
    )
  for (const schema of facts.closedSchemas)
    lacks(
      `may not use schema ${schema}`,
      'The snapshot fails.',
      `grant usage on schema ${sqlIdentifier(schema)} to ${name};`,
    )
  for (const table of facts.unreadable)
    lacks(`may not read ${table}`, 'The snapshot fails.', `grant select on ${sqlTable(table)} to ${name};`)
  findings.push(...judgeOwnership(role, facts, publication, wanted))
  if (facts.isSuperuser || facts.writable.length > 0)
    findings.push({
      id: 'capture-role-excess',
      severity: 'warning',
      finding: facts.isSuperuser
        ? `role ${role} of the connector is a superuser`
        : `role ${role} of the connector may write to ${enumerate(facts.writable)}`,
      consequence: 'Its password is in the reach of whoever runs Kafka Connect. The connector only reads.',
      mend: `A role of its own: ${SCRIPT}`,
    })
  return findings
}

/** Filtered: what is missing or differs, the connector makes or alters when it starts, for which it has to own publication and tables. */
function judgeOwnership(
  role: string,
  facts: CaptureRoleFacts,
  publication: string,
  wanted: readonly string[],
): readonly Finding[] {
  if (facts.isSuperuser) return []
  const list = wanted.map(sqlTable).join(', ')
  const name = sqlIdentifier(publication)
  const ownsTables = facts.foreignTables.length === 0
  if (facts.ownsPublication === null) {
    if (ownsTables && facts.mayCreate) return []
    return [
      {
        id: 'capture-role-publication',
        severity: 'error',
        finding: `there is no publication ${publication}, and role ${role} may not make it: it does not own the tables`,
        consequence: 'The connector does not start.',
        mend: `create publication ${name} for table ${list} with (publish_via_partition_root = true); -- as their owner`,
      },
    ]
  }
  const differs = [...wanted, ...facts.published].filter(
    (table) => !wanted.includes(table) || !facts.published.includes(table),
  )
  if (differs.length === 0 || (facts.ownsPublication && ownsTables)) return []
  return [
    {
      id: 'capture-role-publication',
      severity: 'error',
      finding: `publication ${publication} and the configuration differ in ${enumerate(differs)}, and role ${role} may not alter it`,
      consequence: 'The connector does not start again: it tries without end, while Kafka Connect calls it RUNNING.',
      mend: `alter publication ${name} set table ${list}; -- as its owner`,
    },
  ]
}
