import { createLatencyHistogram } from './latency-histogram.ts'

export interface Outcome {
  readonly latencyMs: number
  /** undefined: no answer came. */
  readonly status: number | undefined
  /** `x-cache`, where the answer has one. */
  readonly cache: string | undefined
}

/** `refused`: 4xx, which a realistic client meets now and then: a step that somebody else was faster with. */
export interface LoadSummary {
  readonly answered: number
  readonly ratePerSecond: number
  /** Share of cached reads that the cache answered, 0 to 1; NaN where there was no read. */
  readonly hitRatio: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly refused: number
  readonly errors: number
  /** Operations that were due while as many as allowed were under way: the services are slower than the rate. */
  readonly skipped: number
  readonly stale: number
}

export interface LoadStatistics {
  record(outcome: Outcome): void
  skip(): void
  stale(): void
  summary(elapsedSeconds: number): LoadSummary
}

export function createLoadStatistics(): LoadStatistics {
  const latency = createLatencyHistogram()
  let hits = 0
  let cachedReads = 0
  let refused = 0
  let errors = 0
  let skipped = 0
  let stale = 0
  return {
    record({ latencyMs, status, cache }) {
      if (status === undefined || status >= 500) errors += 1
      else if (status >= 400) refused += 1
      if (status === undefined) return
      latency.record(latencyMs)
      if (cache === undefined) return
      cachedReads += 1
      if (cache === 'hit') hits += 1
    },
    skip() {
      skipped += 1
    },
    stale() {
      stale += 1
    },
    summary: (elapsedSeconds) => ({
      answered: latency.count,
      ratePerSecond: elapsedSeconds > 0 ? latency.count / elapsedSeconds : 0,
      hitRatio: cachedReads > 0 ? hits / cachedReads : Number.NaN,
      p50Ms: latency.quantileMs(0.5),
      p99Ms: latency.quantileMs(0.99),
      refused,
      errors,
      skipped,
      stale,
    }),
  }
}

/** `  198/s  hits 93.1 %  p50 0.8 ms  p99 4.1 ms  errors 0  stale 0` */
export function formatSummary(summary: LoadSummary): string {
  const parts = [
    `${summary.ratePerSecond.toFixed(0)}/s`,
    `hits ${Number.isNaN(summary.hitRatio) ? '-' : `${(summary.hitRatio * 100).toFixed(1)} %`}`,
    `p50 ${formatMs(summary.p50Ms)}`,
    `p99 ${formatMs(summary.p99Ms)}`,
    `refused ${summary.refused}`,
    `errors ${summary.errors}`,
  ]
  if (summary.skipped > 0) parts.push(`skipped ${summary.skipped}`)
  parts.push(`stale reads ${summary.stale}`)
  return parts.join('  ')
}

function formatMs(ms: number): string {
  return Number.isNaN(ms) ? '-' : `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`
}
