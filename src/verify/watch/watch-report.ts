import type { Difference } from '../compare.ts'
import { ninesOf } from './nines.ts'
import { VIOLATION_KINDS, type ViolationKind } from './name-violation.ts'

export interface Violation {
  readonly key: string
  readonly view: string
  readonly kind: ViolationKind
  /** How it differs. */
  readonly difference: Difference | 'missing'
}

export type ViolationCounts = Readonly<Record<ViolationKind, number>>

export interface WatchReport {
  /** Looks at keys in this interval, and those that found what is proven; a key that stands wrong counts at each look. */
  readonly checkedKeys: number
  readonly violations: ViolationCounts
  /** Up to 20 of those first proven in this interval. */
  readonly found: readonly Violation[]
  /** They differ now, and no position has proven anything yet. */
  readonly inFlightKeys: number
  /** Proven, and still so. */
  readonly standingKeys: number
  /** Of those in flight and those that stand; null: nothing differs. */
  readonly oldestDifferenceSeconds: number | null
  readonly otherCodeKeys: number
  readonly failedKeys: number
  /** Differed while as many keys as there is room for did: not followed. */
  readonly unfollowedKeys: number
  /** Since the watch began. */
  readonly total: { readonly checkedKeys: number; readonly violations: ViolationCounts }
  /** Of answers that are right, with 95 % confidence, since the watch began; what is missing is no wrong answer. */
  readonly nines: number
  /** Why nothing could be looked at when it was last tried; null: all is well. */
  readonly interruptedBy: string | null
}

const MAX_FOUND = 20

export interface WatchTally {
  checked(verdict: string): void
  violated(violation: Violation, isNew: boolean): void
  unfollowed(): void
  /** Begins the next interval. */
  report(
    now: Pick<WatchReport, 'inFlightKeys' | 'standingKeys' | 'oldestDifferenceSeconds' | 'interruptedBy'>,
  ): WatchReport
}

export function createWatchTally(): WatchTally {
  const total = { checkedKeys: 0, violations: noViolations() }
  let interval = emptyInterval()
  return {
    checked(verdict) {
      if (verdict === 'other-code') interval.otherCodeKeys++
      if (verdict === 'failed') interval.failedKeys++
      interval.checkedKeys++
      total.checkedKeys++
    },
    violated(violation, isNew) {
      interval.violations[violation.kind]++
      total.violations[violation.kind]++
      if (isNew && interval.found.length < MAX_FOUND) interval.found.push(violation)
    },
    unfollowed() {
      interval.unfollowedKeys++
    },
    report(now) {
      const ended = interval
      interval = emptyInterval()
      const { stale, wrong } = total.violations
      return {
        ...ended,
        ...now,
        total: { checkedKeys: total.checkedKeys, violations: { ...total.violations } },
        nines: ninesOf(total.checkedKeys, stale + wrong),
      }
    },
  }
}

function emptyInterval() {
  return {
    checkedKeys: 0,
    violations: noViolations(),
    found: [] as Violation[],
    otherCodeKeys: 0,
    failedKeys: 0,
    unfollowedKeys: 0,
  }
}

function noViolations(): Record<ViolationKind, number> {
  return Object.fromEntries(VIOLATION_KINDS.map((kind) => [kind, 0])) as Record<ViolationKind, number>
}
