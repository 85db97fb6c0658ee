import type { Sql } from 'postgres'

import { readCachedEntries, type CachedEntry } from '../cached-entry.ts'
import type { CheckDeps } from '../check-keys.ts'
import { type EntryVersion, parseEntryVersion } from '../entry-version.ts'
import type { Suspect } from '../suspect.ts'
import { claimsCurrent } from './claim.ts'
import { readRowVersions } from './row-versions.ts'

export type ViolationKind =
  /** Older than the database: a change that the consumers have passed did not reach it. */
  | 'stale'
  /** Not what TrackOps would write, or it says of itself that it is current: no change will come to mend it. */
  | 'wrong'
  /** The view's policy is `all`, the row is there and changed within the TTL, and nothing is cached. No wrong answer: its next reader fills it. */
  | 'missing'

export const VIOLATION_KINDS: readonly ViolationKind[] = ['stale', 'wrong', 'missing']

/** Names a proven difference, from what cache and database hold of it now. */
export async function nameViolation(
  deps: CheckDeps & { readonly sql: Sql },
  suspect: Suspect,
): Promise<'stale' | 'wrong'> {
  const { view, key, difference, parts } = suspect
  if (difference === 'unreadable') return 'wrong'
  const wanted = await deps.reads.keyOf(view, view.template.parse(key) ?? {})
  // In a spelling that no row's key has, so a stranger wrote it.
  if (wanted.key !== key) return 'wrong'
  // A query's row was made by no single transaction.
  if (view.kind === 'query') return 'stale'
  const [entry] = await readCachedEntries(deps, view, [key])
  const { xids, xmax, insertLsn } = await readRowVersions(deps.sql, view, [wanted])
  const ofKey = xids.get(key)
  const isWrong = Array.from(parts.keys()).some((member) => {
    const version = entry && versionOf(entry, member)
    return version !== undefined && claimsCurrent(version, { rowXid: ofKey?.get(member), xmax, insertLsn })
  })
  return isWrong ? 'wrong' : 'stale'
}

/** A member that a change brought has a version of its own; otherwise the list's holds for it, and for those that it lacks. */
function versionOf(entry: CachedEntry, member: string): EntryVersion | undefined {
  if (entry.kind === 'missing' || entry.kind === 'unreadable') return undefined
  if (entry.kind !== 'members') return entry.version
  const [, own] = /^\{"_v":"([^"]*)"/.exec(entry.fields.get(member) ?? '') ?? []
  return (own === undefined ? undefined : parseEntryVersion(own)) ?? entry.version
}
