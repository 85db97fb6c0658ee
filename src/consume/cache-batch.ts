import type { FailedChange, PlanItem } from '../cache/plan.ts'
import { describePlace } from '../cache/plan.ts'
import type { StreamItem } from '../change/change-event.ts'
import { comparePositions, type Position } from '../change/position.ts'
import { qualifiedName } from '../change/relation.ts'
import type { DeadLetter } from '../log/dead-letters.ts'
import { TrackOpsError } from '../runtime/errors.ts'

/**
 * Cuts what has arrived into calls: each about as many changes as Redis handles in a few milliseconds, since it serves
 * nobody else meanwhile. A transaction (or a piece of one that is too large to hold) is never cut: its keys change together.
 */
export function cutIntoCalls(items: readonly StreamItem[], changesPerCall: number): readonly (readonly StreamItem[])[] {
  const calls: StreamItem[][] = []
  let current: StreamItem[] = []
  let count = 0
  for (const item of items) {
    const next = item.kind === 'progress' ? 0 : item.changes.length
    if (current.length > 0 && count + next > changesPerCall) {
      calls.push(current)
      current = []
      count = 0
    }
    current.push(item)
    count += next
  }
  if (current.length > 0) calls.push(current)
  return calls
}

/**
 * While one of two positions is behind, a call must not reach beyond the other: up to there one consumer's work is to be
 * done, after it both's. True if the item lies wholly at or before `bound`.
 */
export function endsBy(item: StreamItem, bound: Position): boolean {
  if (item.kind === 'snapshot') return true
  if (item.kind === 'progress') return comparePositions({ commitLsn: item.lsn, ordinal: 0 }, bound) <= 0
  if (item.endLsn !== null) return comparePositions({ commitLsn: item.endLsn, ordinal: 0 }, bound) <= 0
  const last = item.changes.at(-1)
  return last === undefined || comparePositions(last.position, bound) <= 0
}

/** Of the transactions whose changes have to be visible. Logical messages touch no row; a non-transactional one has no xid. */
export function xidsOf(items: readonly StreamItem[]): number[] {
  const xids = new Set<number>()
  for (const item of items) {
    if (item.kind === 'transaction' && item.changes.some(({ op }) => op !== 'm')) xids.add(item.transaction.xid)
  }
  return [...xids]
}

/** For the planner: transactions with their 64-bit ids. */
export function planItems(items: readonly StreamItem[], xids: ReadonlyMap<number, bigint>): readonly PlanItem[] {
  const planned: PlanItem[] = []
  for (const item of items) {
    if (item.kind === 'progress') continue
    if (item.kind === 'snapshot') {
      planned.push({ kind: 'snapshot', changes: item.changes, supersedes: item.supersedes })
    } else {
      const { changes, isWhole, transaction } = item
      const xid64 = xids.get(transaction.xid) ?? BigInt(transaction.xid)
      planned.push({ kind: 'transaction', xid64, changes, isWhole })
    }
  }
  return planned
}

/** L4: what could not be processed, with the keys that a replay refreshes. */
export function deadLettersOf(failed: readonly FailedChange[], consumer: string): readonly DeadLetter[] {
  return failed.map(({ view, keys, change, error }) => {
    const known = error instanceof TrackOpsError ? error : undefined
    const kind = error instanceof Error ? error.name : 'something that is not an error'
    const place = describePlace(change)
    return {
      consumer,
      source: 'relation' in change ? `${qualifiedName(change.relation)} > ${view.name}` : view.name,
      position: place['position'] ?? '',
      subject: { kind: 'keys', keys: keys.map((key) => ({ view: view.name, key })) },
      errorCode: known?.code ?? 'VIEW_FAILED',
      errorMessage: known?.message ?? `the function of view ${view.name} threw ${kind}`,
      attempts: 1,
    }
  })
}
