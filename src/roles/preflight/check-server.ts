import type { Check, DatabaseContext, Finding } from './finding.ts'
import { sqlIdentifier } from './names.ts'

const OLDEST_VERSION = 140_000

/** The server itself: version, WAL, room for a slot and a walsender, rights, standby, synchronous replication. */
export const checkServer: Check<DatabaseContext> = {
  name: 'server',
  async run({ sql, config }) {
    const [facts] = await sql<ServerFacts[]>`
      select current_setting('server_version_num')::int as version,
             current_setting('server_version') as "versionText",
             current_setting('wal_level') as "walLevel",
             current_setting('max_replication_slots')::int as "maxSlots",
             current_setting('max_wal_senders')::int as "maxSenders",
             (select count(*)::int from pg_replication_slots) as slots,
             (select count(*)::int from pg_stat_replication) as senders,
             exists (select from pg_replication_slots where slot_name = ${config.source.slot}) as "hasSlot",
             exists (select from pg_replication_slots where slot_name = ${config.source.slot} and active) as "isReading",
             pg_is_in_recovery() as "isStandby",
             (select rolsuper or rolreplication from pg_roles where rolname = current_user) as "mayReplicate",
             current_user::text as role,
             has_database_privilege(current_database(), 'create') or to_regnamespace('trackops') is not null as "mayKeepBooks",
             current_database()::text as database,
             current_setting('synchronous_standby_names') as "standbyNames",
             (select count(*)::int from pg_stat_replication where sync_state in ('sync', 'quorum')
                and application_name not like 'trackops %') as standbys,
             coalesce(current_setting('idle_replication_slot_timeout', true), '0') as "idleSlotTimeout"`
    return facts ? judgeServer(facts, config.source.slot) : []
  },
}

export interface ServerFacts {
  readonly version: number
  readonly versionText: string
  readonly walLevel: string
  readonly maxSlots: number
  readonly maxSenders: number
  readonly slots: number
  readonly senders: number
  readonly hasSlot: boolean
  /** Somebody reads our slot now. */
  readonly isReading: boolean
  readonly isStandby: boolean
  readonly mayReplicate: boolean
  readonly role: string
  /** May make the schema `trackops`, or has it. */
  readonly mayKeepBooks: boolean
  readonly database: string
  readonly standbyNames: string
  /** Synchronous standbys that are connected, our own walsenders left out. */
  readonly standbys: number
  /** PostgreSQL 18; '0' before and where it is off. */
  readonly idleSlotTimeout: string
}

/** Pure. */
export function judgeServer(facts: ServerFacts, slot: string): readonly Finding[] {
  const findings: Finding[] = []
  const error = (id: string, finding: string, consequence: string, mend: string): void =>
    void findings.push({ id, severity: 'error', finding, consequence, mend })
  const warning = (id: string, finding: string, consequence: string, mend: string): void =>
    void findings.push({ id, severity: 'warning', finding, consequence, mend })
  const role = sqlIdentifier(facts.role)

  if (facts.version < OLDEST_VERSION)
    error(
      'postgres-version',
      `PostgreSQL ${facts.versionText}; TrackOps needs 14 or later`,
      'The protocol asks for functions that this version lacks or names otherwise.',
      'Upgrade the server.',
    )
  if (facts.walLevel !== 'logical')
    error(
      'wal-level',
      `wal_level is ${facts.walLevel}, not logical`,
      'No replication slot can be made: not a single change arrives.',
      "alter system set wal_level = 'logical'; -- then restart PostgreSQL",
    )
  if (facts.isStandby)
    error(
      'database-is-standby',
      'the database is a standby (it is in recovery)',
      "A standby's snapshots omit running transactions: fills from it could be older than they seem. They are refused.",
      'Set DATABASE_URL to the primary.',
    )
  if (!facts.hasSlot && facts.slots >= facts.maxSlots)
    error(
      'no-free-slot',
      `all ${facts.maxSlots} replication slots are taken (max_replication_slots)`,
      'The slot cannot be made.',
      `Drop one that nobody needs (select slot_name, active from pg_replication_slots;), or: alter system set max_replication_slots = ${facts.maxSlots + 5}; -- then restart PostgreSQL`,
    )
  if (!facts.isReading && facts.senders >= facts.maxSenders)
    error(
      'no-free-wal-sender',
      `all ${facts.maxSenders} walsenders are taken (max_wal_senders)`,
      'The change stream cannot be opened.',
      `alter system set max_wal_senders = ${facts.maxSenders + 5}; -- then restart PostgreSQL`,
    )
  if (!facts.mayReplicate)
    error(
      'role-without-replication',
      `role ${facts.role} has no REPLICATION attribute`,
      'The server refuses the replication connection: not a single change arrives.',
      `alter role ${role} replication;`,
    )
  if (!facts.mayKeepBooks)
    error(
      'schema-not-creatable',
      `role ${facts.role} may not create the schema trackops in ${facts.database}`,
      'There is no place for the slot ledger, domain events and dead letters: TrackOps does not start.',
      `create schema trackops authorization ${role};`,
    )
  if (facts.standbyNames !== '' && namesUs(facts.standbyNames, slot))
    error(
      'synchronous-standby-is-us',
      `synchronous_standby_names (${facts.standbyNames}) also means the walsender of TrackOps`,
      'Commits wait for TrackOps, and TrackOps waits until commits are visible: both stand still.',
      "Name the standbys instead of *: alter system set synchronous_standby_names = 'name, ...'; select pg_reload_conf();",
    )
  if (facts.standbyNames !== '' && facts.standbys === 0)
    warning(
      'synchronous-standby-missing',
      `synchronous_standby_names is ${facts.standbyNames}, but no such standby is connected`,
      'Commits wait for a standby that does not answer; their changes wait, too, as they are not visible to readers yet.',
      "Start the standby, or: alter system set synchronous_standby_names = ''; select pg_reload_conf();",
    )
  if (!facts.idleSlotTimeout.startsWith('0'))
    warning(
      'idle-slot-timeout',
      `idle_replication_slot_timeout is ${facts.idleSlotTimeout}`,
      'A TrackOps that is stopped for longer loses its slot: the cache is forgotten and warmed anew.',
      'alter system set idle_replication_slot_timeout = 0; select pg_reload_conf();',
    )
  return findings
}

/** Our walsender calls itself `trackops <slot>`. In a list, `*` stands for everybody. */
function namesUs(standbyNames: string, slot: string): boolean {
  return standbyNames.includes('*') || standbyNames.toLowerCase().includes(`"trackops ${slot}"`)
}
