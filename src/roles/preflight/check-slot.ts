import type { Check, DatabaseContext, Finding } from './finding.ts'

/** The replication slot: there, ours, readable, and not about to fill the disk or to be cut off. */
export const checkSlot: Check<DatabaseContext> = {
  name: 'slot',
  async run({ sql, config }) {
    const { slot } = config.source
    // as JSON: what the view has differs from version to version
    const [row] = await sql<{ facts: SlotFacts | null; hasLedger: boolean; maxKeepMegabytes: number }[]>`
      select (select to_jsonb(s) || jsonb_build_object(
                       'is_here', s.database = current_database(),
                       'retained_bytes', case when pg_is_in_recovery() then null
                                              else pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) end,
                       'flush_lag_s', (select extract(epoch from r.flush_lag)::float8
                                         from pg_stat_replication r where r.pid = s.active_pid))
                from pg_replication_slots s where slot_name = ${slot}) as facts,
             to_regclass('trackops.slots') is not null as "hasLedger",
             (select setting::int from pg_settings where name = 'max_slot_wal_keep_size') as "maxKeepMegabytes"`
    if (!row) return []
    if (row.facts) return judgeSlot(slot, row.facts, row.maxKeepMegabytes)
    const [entry] = row.hasLedger
      ? await sql<{ isDone: boolean }[]>`
          select snapshot_completed_at is not null as "isDone" from trackops.slots where slot_name = ${slot}`
      : []
    return [missingSlot(slot, entry?.isDone === true)]
  },
}

/** Of `pg_replication_slots`, by its own names; those of later versions may lack. */
export interface SlotFacts {
  readonly plugin: string | null
  readonly slot_type: string
  readonly active: boolean
  readonly two_phase?: boolean
  /** reserved, extended, unreserved, lost */
  readonly wal_status: string | null
  readonly invalidation_reason?: string | null
  readonly is_here: boolean | null
  readonly retained_bytes: number | null
  /** How long ago the newest change was sent that has been confirmed since; null while nobody reads, or nothing is behind. */
  readonly flush_lag_s: number | null
}

const MEGABYTE = 1024 * 1024
/** Without `max_slot_wal_keep_size` nothing but the disk bounds what a slot retains; this is a day of a busy small system. */
const UNBOUNDED_WARNING_BYTES = 10 * 1024 * MEGABYTE
/** Marks live for 60 s by default (PROTOCOL.md, P2). */
const MARKS_SECONDS = 60

/** Pure. `maxKeepMegabytes` -1: unbounded. */
export function judgeSlot(slot: string, facts: SlotFacts, maxKeepMegabytes: number): readonly Finding[] {
  const drop = `select pg_drop_replication_slot('${slot}');`
  if (
    facts.slot_type !== 'logical' ||
    facts.plugin !== 'pgoutput' ||
    facts.is_here !== true ||
    facts.two_phase === true
  ) {
    return [
      {
        id: 'slot-foreign',
        severity: 'error',
        finding: `slot ${slot} is not one that TrackOps can read (${facts.slot_type}, plugin ${facts.plugin ?? 'none'}, ${facts.is_here === true ? 'this' : 'another'} database)`,
        consequence: "TrackOps does not start: it does not drop a slot that may be somebody else's.",
        mend: `Set another source.slot in the configuration, or, if nobody needs it: ${drop}`,
      },
    ]
  }
  const reason = facts.invalidation_reason ?? (facts.wal_status === 'lost' ? 'wal_removed' : null)
  if (reason !== null) {
    return [
      {
        id: 'slot-invalidated',
        severity: 'error',
        finding: `the server has invalidated slot ${slot}: ${reason}`,
        consequence: 'Changes were lost. TrackOps makes the slot anew, forgets the cache and warms it again.',
        mend: `Restart TrackOps (it does the rest), and raise max_slot_wal_keep_size if that was the reason. By hand: ${drop}`,
      },
    ]
  }
  const findings: Finding[] = []
  const retained = facts.retained_bytes ?? 0
  const maxKeepBytes = maxKeepMegabytes * MEGABYTE
  if (facts.wal_status === 'unreserved')
    findings.push({
      id: 'slot-unreserved',
      severity: 'error',
      finding: `slot ${slot} is behind by ${megabytes(retained)}, beyond max_slot_wal_keep_size (${maxKeepMegabytes} MB)`,
      consequence: 'The next checkpoint removes WAL that it still needs: changes are lost, and the cache is forgotten.',
      mend: `Start TrackOps at once, or: alter system set max_slot_wal_keep_size = '${nextLimit(retained)}'; select pg_reload_conf();`,
    })
  else if (maxKeepMegabytes >= 0 && retained > maxKeepBytes / 2)
    findings.push({
      id: 'slot-retention',
      severity: 'warning',
      finding: `slot ${slot} retains ${megabytes(retained)} of at most ${maxKeepMegabytes} MB (max_slot_wal_keep_size)`,
      consequence: 'Beyond that the server cuts it off: changes are lost, and the cache is forgotten.',
      mend: `Find out why its reader is slow (trackops status), or: alter system set max_slot_wal_keep_size = '${nextLimit(retained)}'; select pg_reload_conf();`,
    })
  else if (maxKeepMegabytes < 0 && retained > UNBOUNDED_WARNING_BYTES)
    findings.push({
      id: 'slot-retention',
      severity: 'warning',
      finding: `slot ${slot} retains ${megabytes(retained)}, and max_slot_wal_keep_size sets no bound`,
      consequence: 'It can fill the disk of the database.',
      mend: `Find out why its reader is slow (trackops status); if it is never to run again: ${drop}`,
    })
  if (!facts.active)
    findings.push({
      id: 'slot-inactive',
      severity: 'warning',
      finding: `nobody reads slot ${slot}; it retains ${megabytes(retained)} of WAL`,
      consequence: 'The cache does not follow the database, and the WAL that is kept for it grows.',
      mend: `Start TrackOps: ./trackops up, or trackops run. If it is never to run again: ${drop}`,
    })
  if ((facts.flush_lag_s ?? 0) > MARKS_SECONDS)
    findings.push({
      id: 'lag-exceeds-marks',
      severity: 'warning',
      finding: `changes are confirmed ${Math.round(facts.flush_lag_s ?? 0)} s after they were sent; marks live for ${MARKS_SECONDS} s`,
      consequence:
        'A reader may for a moment be answered older than an answer that it had before (P2). Nothing stays stale.',
      mend: 'Find out what is slow: trackops status',
    })
  return findings
}

function missingSlot(slot: string, wasThere: boolean): Finding {
  return wasThere
    ? {
        id: 'slot-lost',
        severity: 'warning',
        finding: `slot ${slot} is gone, though TrackOps has used it`,
        consequence: 'Changes since then are lost to it. It makes the slot anew, forgets the cache and warms it again.',
        mend: 'Start TrackOps: ./trackops up, or trackops run.',
      }
    : {
        id: 'slot-missing',
        severity: 'info',
        finding: `there is no slot ${slot} yet`,
        consequence: 'None: TrackOps makes it when it first starts.',
        mend: 'Start TrackOps: ./trackops up, or trackops run.',
      }
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / MEGABYTE)} MB`
}

function nextLimit(retainedBytes: number): string {
  return `${Math.ceil((retainedBytes * 4) / MEGABYTE / 1024) || 1}GB`
}
