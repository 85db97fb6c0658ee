import type { ConsumerRole, StoredPositions } from '../cache/protocol.ts'
import type { History } from '../change/change-event.ts'
import type { Lsn } from '../change/lsn.ts'
import { comparePositions, type Position } from '../change/position.ts'
import type { CacheRole } from './cache-roles.ts'
import type { CachePositions } from './cache-steps.ts'
import { decideResume } from './resume.ts'
import { formatStoredPosition, positionWithin } from './stored-position.ts'

export interface CacheResumeFacts {
  readonly role: CacheRole
  readonly stored: StoredPositions
  readonly history: History
  readonly resumeLsn: Lsn
  /** See ResumeFacts. */
  readonly endLsn?: Lsn | null
  readonly beginLsn?: Lsn | undefined
  /** One of several partitions that feed the same cache. Default false. */
  readonly isPartition?: boolean
}

/** What a cache consumer does before it continues, in this order: forget, then move positions. */
export interface CacheResume {
  /**
   * entries: what is cached cannot be trusted. history: fences go as well; only while no consumer stands in this history,
   * or both begin anew, for those that one has raised since must stay (P3).
   */
  readonly forget: 'nothing' | 'entries' | 'history'
  readonly moves: readonly { readonly part: ConsumerRole; readonly from: string | null; readonly to: string }[]
  readonly at: CachePositions
  /** As Redis holds them after the moves. */
  readonly texts: StoredPositions
}

/** Pure (L2). */
export function decideCacheResume(facts: CacheResumeFacts): CacheResume {
  const { role, stored, history, resumeLsn, endLsn = null, beginLsn = resumeLsn, isPartition = false } = facts
  const beginning: Position = { commitLsn: beginLsn, ordinal: 0 }
  const at = { invalidator: beginning, warmer: beginning }
  const texts = { ...stored }
  const moves: CacheResume['moves'][number][] = []
  for (const part of partsOf(role)) {
    const who = nameOf(part)
    const decided = decideResume({ stored: positionWithin(history, stored[who]), resumeLsn, endLsn, beginLsn })
    at[who] = decided.from
    if (decided.kind === 'continue') continue
    const to = formatStoredPosition(history, decided.from)
    moves.push({ part, from: stored[who], to })
    texts[who] = to
  }
  const all = [stored.invalidator, stored.warmer]
  const isHistoryNew =
    all.some((text) => text !== null) && all.every((text) => positionWithin(history, text) === undefined)
  if (moves.length === 0) return { forget: 'nothing', moves, at, texts }
  if (isPartition) return { forget: 'entries', moves, at, texts }
  // Where both begin anew, no fence is of use to anybody: nobody would come by to take it away (F).
  const isAllAnew = moves.length === 2
  return { forget: isHistoryNew || isAllAnew ? 'history' : 'entries', moves, at, texts }
}

/** Pure (L2): does Redis stand behind what was applied? Ahead is for the next call to find out. */
export function lostWrites(
  role: CacheRole,
  facts: { readonly stored: StoredPositions; readonly applied: CachePositions; readonly history: History },
): ConsumerRole | null {
  for (const part of partsOf(role)) {
    const within = positionWithin(facts.history, facts.stored[nameOf(part)])
    if (within === undefined || comparePositions(within, facts.applied[nameOf(part)]) < 0) return part
  }
  return null
}

function partsOf(role: CacheRole): readonly ConsumerRole[] {
  if (role === 'cache-invalidator') return ['invalidate']
  return role === 'cache-warmer' ? ['warm'] : ['invalidate', 'warm']
}

function nameOf(part: ConsumerRole): 'invalidator' | 'warmer' {
  return part === 'invalidate' ? 'invalidator' : 'warmer'
}
