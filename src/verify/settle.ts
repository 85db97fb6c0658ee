/**
 * Differences in flight. A key differs for a moment whenever its row changes; it is stale only if it still differs when
 * the consumers have passed the change.
 *
 *   cache read: c    database read: d, then WAL insert position L         positions read: both past L    cache read: c still
 *   ─────┴───────────────────┴──────────────────────────────────────────────────┴───────────────────────────┴────────▶ time
 *
 * d is at least as new as c (visible before processed) and is another document; every change in d committed before L. Consumers
 * that have passed L have brought c up to d or beyond, under another version. If c is there unchanged, it is stale.
 */
import type { CompiledView } from '../cache/compiled-view.ts'
import type { Lsn } from '../change/lsn.ts'
import { parsePosition } from '../change/position.ts'
import { pause } from '../runtime/backoff.ts'
import { type CheckDeps, checkKeys } from './check-keys.ts'
import { isLeftAlone, isProven, stillSuspect, type Suspect } from './suspect.ts'

export interface Settled {
  readonly stale: readonly Suspect[]
  /** Written again and again while we looked, and different each time: in flight still, as far as anyone can say. */
  readonly unsettled: number
}

export interface SettleDeps extends CheckDeps {
  /** What every consumer that has a position has passed; null if none has. */
  readonly reached: () => Promise<Lsn | null>
}

/** Not longer than that: a key that changes all the time is equal only now and then. */
const PAUSES_MS = [20, 50, 100]
const LAST_PAUSE_MS = 250

/** `deadlineMs` by `performance.now`: what nobody has written by then is stale whatever the positions say. */
export async function settle(
  deps: SettleDeps,
  first: readonly Suspect[],
  options: { readonly deadlineMs: number; readonly batchKeys: number; readonly signal: AbortSignal },
): Promise<Settled> {
  const stale: Suspect[] = []
  let suspects = first
  for (let round = 0; suspects.length > 0; round++) {
    const leftMs = options.deadlineMs - performance.now()
    if (leftMs > 0) await pause(Math.min(leftMs, PAUSES_MS[round] ?? LAST_PAUSE_MS), options.signal)
    const reached = await deps.reached()
    const again: Suspect[] = []
    for (const batch of batches(suspects, options.batchKeys)) {
      options.signal.throwIfAborted()
      const keys = batch.suspects.map(({ key }) => key)
      const checked = await checkKeys(deps, batch.view, keys)
      for (const [index, before] of batch.suspects.entries()) {
        const look = checked[index]
        const now = look && stillSuspect(before, look, performance.now())
        if (!now) continue
        if (isProven(before, now, reached)) stale.push(now)
        else again.push(now)
      }
    }
    suspects = again
    if (performance.now() >= options.deadlineMs) break
  }
  const nowMs = performance.now()
  const leftAlone = suspects.filter((suspect) => isLeftAlone(suspect, nowMs))
  return { stale: [...stale, ...leftAlone], unsettled: suspects.length - leftAlone.length }
}

/** Pure: from what the consumers have stored; null for one that has stored nothing. */
export function reachedLsn(stored: readonly (string | null)[]): Lsn | null {
  let least: Lsn | null = null
  for (const text of stored) {
    if (text === null) continue
    try {
      const { commitLsn } = parsePosition(text.slice(text.lastIndexOf('|') + 1))
      if (least === null || commitLsn < least) least = commitLsn
    } catch {
      return null
    }
  }
  return least
}

function* batches(
  suspects: readonly Suspect[],
  batchKeys: number,
): Generator<{ readonly view: CompiledView; readonly suspects: readonly Suspect[] }> {
  for (const [view, ofView] of Map.groupBy(suspects, ({ view: one }) => one)) {
    for (let from = 0; from < ofView.length; from += batchKeys)
      yield { view, suspects: ofView.slice(from, from + batchKeys) }
  }
}
