/** Cache against database, for one key. Pure: what counts as a difference is decided here, and nowhere else. */
import { isDeepStrictEqual } from 'node:util'

import type { Found } from '../cache/database-read.ts'
import type { CachedEntry } from './cached-entry.ts'

export type Difference =
  /** Another document than the database gives. */
  | 'stale'
  /** Cached, but the database has no row for it. */
  | 'ghost'
  /** A list that lacks a member or has one too many. */
  | 'hole'
  /** Not in TrackOps's form. */
  | 'unreadable'
  /** Cached as not existing, but the row is there. */
  | 'stale-absent'

export const DIFFERENCES: readonly Difference[] = ['stale', 'ghost', 'hole', 'unreadable', 'stale-absent']

export type Verdict =
  | { readonly kind: 'equal' }
  /** Not in the cache (any more): nothing can be stale. */
  | { readonly kind: 'not-cached' }
  /** Made by other code of the view: readers take it for a miss. */
  | { readonly kind: 'other-code' }
  /** The view's function failed for the row: nobody can say what should be cached. */
  | { readonly kind: 'failed' }
  /** `members`: of a list those that differ; of anything else, or where a list is none, WHOLE. */
  | { readonly kind: 'different'; readonly difference: Difference; readonly members: readonly string[] }

/** No member has this name. */
export const WHOLE: readonly string[] = ['']

/** `code` is that of the view as it is now. */
export function compareEntry(cached: CachedEntry, found: Found, code: string): Verdict {
  if (cached.kind === 'missing') return { kind: 'not-cached' }
  if (cached.kind === 'unreadable') return different('unreadable')
  if (cached.version.code !== code) return { kind: 'other-code' }
  if (found.kind === 'failed') return { kind: 'failed' }
  if (cached.kind === 'absent') return isNothing(found) ? { kind: 'equal' } : different('stale-absent')
  if (cached.kind === 'members') return compareMembers(cached.members, found)
  if (found.kind === 'absent') return different('ghost')
  if (found.kind === 'members') return different('unreadable')
  return isDeepStrictEqual(cached.document, JSON.parse(found.text)) ? { kind: 'equal' } : different('stale')
}

function compareMembers(cached: ReadonlyMap<string, unknown>, found: Found): Verdict {
  const rows: ReadonlyMap<string, string> = found.kind === 'members' ? found.members : new Map<string, string>()
  const surplus = [...cached.keys()].filter((member) => !rows.has(member))
  const lacking: string[] = []
  const stale: string[] = []
  for (const [member, text] of rows) {
    const document = cached.get(member)
    if (document === undefined) lacking.push(member)
    else if (!isDeepStrictEqual(document, JSON.parse(text))) stale.push(member)
  }
  const members = [...surplus, ...lacking, ...stale]
  if (members.length === 0) return { kind: 'equal' }
  if (rows.size === 0) return different('ghost', members)
  return different(surplus.length + lacking.length > 0 ? 'hole' : 'stale', members)
}

function isNothing(found: Found): boolean {
  return found.kind === 'absent' || (found.kind === 'members' && found.members.size === 0)
}

function different(difference: Difference, members: readonly string[] = WHOLE): Verdict {
  return { kind: 'different', difference, members }
}
