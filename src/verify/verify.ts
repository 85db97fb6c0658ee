/**
 * Every cached key of every view against the database (P1, observed). Reads only. Memory: one batch, and the keys that
 * differed, with at most some MAX_SUSPECT_PARTS things that do.
 */
import type { CompiledViews } from '../cache/compiled-view.ts'
import { pause } from '../runtime/backoff.ts'
import { checkKeys } from './check-keys.ts'
import { type Difference, DIFFERENCES } from './compare.ts'
import { scanKeys } from './scan-keys.ts'
import { type Settled, settle, type SettleDeps } from './settle.ts'
import { firstSuspicion, type Suspect } from './suspect.ts'

export interface VerifyDeps extends SettleDeps {
  readonly views: CompiledViews
}

export interface VerifyOptions {
  readonly signal: AbortSignal
  /** Default: as fast as the servers answer. */
  readonly rateKeysPerSecond?: number | undefined
  /** How long differences may be in flight, all together. Default 15,000: on an idle database positions move by heartbeats, every few seconds. */
  readonly settleMs?: number
  /** Default 200. */
  readonly batchKeys?: number
}

export interface VerifyReport {
  /** Values, lists and absences. */
  readonly checkedKeys: number
  readonly staleKeys: number
  readonly byKind: Readonly<Record<Difference, number>>
  /** Made by other code of their view; readers take them for misses. Not stale. */
  readonly otherCodeKeys: number
  /** Whose view's function failed on the row: not comparable. */
  readonly failedKeys: number
  /** Changed and differed whenever we looked. */
  readonly unsettledKeys: number
  /** Up to 20 of the stale ones. */
  readonly examples: readonly { readonly key: string; readonly view: string; readonly kind: Difference }[]
}

const MAX_EXAMPLES = 20
/** Documents, and members of lists: some 200 bytes each. */
const MAX_SUSPECT_PARTS = 50_000

/** @throws TrackOpsError REDIS_UNREACHABLE, POSTGRES_UNREACHABLE, ...; the signal's reason */
export async function verifyCache(deps: VerifyDeps, options: VerifyOptions): Promise<VerifyReport> {
  const { signal, rateKeysPerSecond, settleMs = 15_000, batchKeys = 200 } = options
  const tally = createTally()
  const startedMs = performance.now()
  let leftMs = settleMs
  let seenKeys = 0
  let suspects: Suspect[] = []
  let parts = 0

  async function settleSuspects(): Promise<void> {
    const beganMs = performance.now()
    tally.settled(await settle(deps, suspects, { deadlineMs: beganMs + leftMs, batchKeys, signal }))
    leftMs = Math.max(0, leftMs - (performance.now() - beganMs))
    suspects = []
    parts = 0
  }

  for (const view of deps.views.all) {
    for await (const keys of scanKeys(deps, view, { batchKeys, signal })) {
      for (const checked of await checkKeys(deps, view, keys)) {
        const { verdict } = checked
        tally.checked(verdict.kind)
        if (verdict.kind !== 'different') continue
        suspects.push(firstSuspicion(checked, verdict.difference, performance.now()))
        parts += verdict.members.length
      }
      if (parts >= MAX_SUSPECT_PARTS) await settleSuspects()
      seenKeys += keys.length
      if (rateKeysPerSecond === undefined) continue
      const aheadMs = startedMs + (seenKeys * 1000) / rateKeysPerSecond - performance.now()
      if (aheadMs > 0) await pause(aheadMs, signal)
    }
  }
  await settleSuspects()
  return tally.report()
}

function createTally(): {
  checked(kind: string): void
  settled(settled: Settled): void
  report(): VerifyReport
} {
  const counts = { checked: 0, otherCode: 0, failed: 0, unsettled: 0, stale: 0 }
  const byKind = new Map<Difference, number>()
  const examples: { key: string; view: string; kind: Difference }[] = []
  return {
    checked(kind) {
      // evicted, expired or deleted since SCAN told its key
      if (kind !== 'not-cached') counts.checked++
      if (kind === 'other-code') counts.otherCode++
      if (kind === 'failed') counts.failed++
    },
    settled({ stale, unsettled }) {
      counts.unsettled += unsettled
      counts.stale += stale.length
      for (const { key, view, difference } of stale) {
        byKind.set(difference, (byKind.get(difference) ?? 0) + 1)
        if (examples.length < MAX_EXAMPLES) examples.push({ key, view: view.name, kind: difference })
      }
    },
    report: () => ({
      checkedKeys: counts.checked,
      staleKeys: counts.stale,
      byKind: Object.fromEntries(DIFFERENCES.map((kind) => [kind, byKind.get(kind) ?? 0])) as Record<
        Difference,
        number
      >,
      otherCodeKeys: counts.otherCode,
      failedKeys: counts.failed,
      unsettledKeys: counts.unsettled,
      examples,
    }),
  }
}
