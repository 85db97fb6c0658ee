/**
 * Rows whose key should be there, and is not (policy `all`). A look sees no entry first and the row after it; the consumers pass that
 * moment; a later look sees the same row and still no entry. It is excused where the entry may have expired or was evicted or forgotten.
 */
import type { CompiledRowView } from '../../cache/compiled-view.ts'
import type { WantedKey } from '../../cache/database-read.ts'
import type { Lsn } from '../../change/lsn.ts'
import type { Sql } from 'postgres'
import { readCachedEntries } from '../cached-entry.ts'
import type { CheckDeps } from '../check-keys.ts'
import type { Moment, Moments } from './moments.ts'
import { readRowVersions } from './row-versions.ts'

export interface Absence {
  readonly view: CompiledRowView
  readonly key: string
  /** The transaction that made the row as it was seen. */
  readonly xid: bigint
  /** WAL insert position after the row was first seen so. */
  readonly insertLsn: Lsn
  readonly sinceMs: number
}

/** Of these keys those that are not cached although their rows have an entry. Any view's keys; only those of policy `all` are looked at. */
export async function findAbsences(
  deps: CheckDeps & { readonly sql: Sql },
  view: CompiledRowView,
  keys: readonly string[],
  nowMs: number,
): Promise<readonly Absence[]> {
  const entries = await readCachedEntries(deps, view, keys)
  const missing = keys.filter((_, index) => entries[index]?.kind === 'missing')
  if (missing.length === 0) return []
  const wanted: WantedKey[] = []
  for (const key of missing) {
    const one = await deps.reads.keyOf(view, view.template.parse(key) ?? {})
    if (one.key === key) wanted.push(one)
  }
  if (wanted.length === 0) return []
  const withEntry = new Set<string>()
  for (const { found } of await deps.reads.read(view, wanted)) {
    for (const [key, { kind }] of found) if (kind === 'document') withEntry.add(key)
  }
  const { xids, insertLsn } = await readRowVersions(deps.sql, view, wanted)
  return [...withEntry].flatMap((key) => {
    const xid = xids.get(key)?.get('')
    return xid === undefined ? [] : [{ view, key, xid, insertLsn, sinceMs: nowMs }]
  })
}

/** Pure. `now`: asked for after the look that found `again`; `reached`: what all consumers have passed, asked for before it. */
export function isMissing(
  first: Absence,
  again: Absence,
  known: { readonly reached: Lsn | null; readonly moments: Moments; readonly now: Moment; readonly nowMs: number },
): boolean {
  if (first.xid !== again.xid || known.reached === null || known.reached < first.insertLsn) return false
  const before = known.moments.lastBefore(first.xid)
  return (
    before !== undefined &&
    before.upheavals === known.now.upheavals &&
    known.nowMs < before.atMs + shortestTtlMs(first.view)
  )
}

function shortestTtlMs({ view }: CompiledRowView): number {
  return view.ttlSeconds * (1 - (view.ttlJitterRatio ?? 0)) * 1000
}
