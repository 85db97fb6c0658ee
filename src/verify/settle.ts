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
import { type CheckDeps, type CheckedKey, checkKeys } from './check-keys.ts'
import type { Difference } from './compare.ts'

/** A key that differed when it was looked at last. */
export interface Suspect {
  readonly view: CompiledView
  readonly key: string
  readonly difference: Difference
  readonly raw: string
  readonly insertLsn: Lsn | null
  /** When `raw` was first seen, by `performance.now`. */
  readonly sinceMs: number
}

export interface Settled {
  readonly stale: readonly Suspect[]
  /** Changed again and again while we looked, and differed each time: in flight still, as far as anyone can say. */
  readonly unsettled: number
}

export interface SettleDeps extends CheckDeps {
  readonly positions: () => Promise<readonly (string | null)[]>
}

const PAUSES_MS = [20, 50, 100, 200, 400, 800, 1000]
/** An entry that nobody has touched for so long is not in flight. */
const UNTOUCHED_MS = 5_000

/** `deadlineMs` by `performance.now`: what differs then, untouched, is stale whatever the positions say. */
export async function settle(
  deps: SettleDeps,
  first: readonly Suspect[],
  options: { readonly deadlineMs: number; readonly batchKeys: number; readonly signal: AbortSignal },
): Promise<Settled> {
  const stale: Suspect[] = []
  let suspects = first
  for (let round = 0; suspects.length > 0; round++) {
    const leftMs = options.deadlineMs - performance.now()
    if (leftMs > 0) await pause(Math.min(leftMs, PAUSES_MS[round] ?? 1000), options.signal)
    options.signal.throwIfAborted()
    const reached = reachedLsn(await deps.positions())
    const again: Suspect[] = []
    for (const batch of batches(suspects, options.batchKeys)) {
      const checked = await checkKeys(
        deps,
        batch.view,
        batch.suspects.map(({ key }) => key),
      )
      for (const [index, now] of checked.entries()) {
        const before = batch.suspects[index]
        if (!before || now.verdict.kind !== 'different') continue
        const suspect = suspectOf(now, now.verdict.difference, before)
        if (isProven(before, suspect, reached)) stale.push(suspect)
        else again.push(suspect)
      }
    }
    suspects = again
    if (performance.now() >= options.deadlineMs) break
  }
  const now = performance.now()
  const firstRaw = new Map(first.map(({ key, raw }) => [key, raw]))
  const isUntouched = ({ key, raw, sinceMs }: Suspect): boolean =>
    firstRaw.get(key) === raw || now - sinceMs > UNTOUCHED_MS
  const untouched = suspects.filter(isUntouched)
  return { stale: [...stale, ...untouched], unsettled: suspects.length - untouched.length }
}

/** An entry that is still the same keeps its first position: that is the one that has to be passed. */
export function suspectOf(checked: CheckedKey, difference: Difference, before?: Suspect): Suspect {
  const { view, key, raw } = checked
  const isSame = before?.raw === raw
  return {
    view,
    key,
    difference,
    raw,
    insertLsn: isSame ? before.insertLsn : checked.insertLsn,
    sinceMs: isSame ? before.sinceMs : performance.now(),
  }
}

/** Pure. A key that is not of canonical form has no row: no change will ever touch it. */
export function isProven(before: Suspect, now: Suspect, reached: Lsn | null): boolean {
  if (now.raw !== before.raw) return false
  return before.insertLsn === null || (reached !== null && reached >= before.insertLsn)
}

/** Pure. What every consumer that has a position has passed; null if none has. */
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
