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
  | { readonly kind: 'different'; readonly difference: Difference }

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
  const members: ReadonlyMap<string, string> = found.kind === 'members' ? found.members : new Map<string, string>()
  if (members.size === 0) return cached.size === 0 ? { kind: 'equal' } : different('ghost')
  if (cached.size !== members.size) return different('hole')
  let isStale = false
  for (const [field, text] of members) {
    const document = cached.get(field)
    if (document === undefined) return different('hole')
    isStale ||= !isDeepStrictEqual(document, JSON.parse(text))
  }
  return isStale ? different('stale') : { kind: 'equal' }
}

function isNothing(found: Found): boolean {
  return found.kind === 'absent' || (found.kind === 'members' && found.members.size === 0)
}

function different(difference: Difference): Verdict {
  return { kind: 'different', difference }
}
