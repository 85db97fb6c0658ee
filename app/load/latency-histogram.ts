/**
 * Latencies in buckets that grow by 5 %: quantiles within 5 %, in memory that does not grow with the run. From 10 microseconds to
 * over a minute; what lies outside counts at the edge.
 */
const GROWTH = 1.05
const SMALLEST_MS = 0.01
const BUCKETS = 330

export interface LatencyHistogram {
  readonly count: number
  record(latencyMs: number): void
  /** The upper edge of the bucket in which the quantile lies, 0 to 1; NaN where nothing was recorded. */
  quantileMs(share: number): number
}

export function createLatencyHistogram(): LatencyHistogram {
  const counts = new Uint32Array(BUCKETS)
  let count = 0
  return {
    get count() {
      return count
    },
    record(latencyMs) {
      const exact = Math.ceil(Math.log(Math.max(latencyMs, SMALLEST_MS) / SMALLEST_MS) / Math.log(GROWTH))
      const index = Math.min(BUCKETS - 1, exact)
      counts[index] = (counts[index] ?? 0) + 1
      count += 1
    },
    quantileMs(share) {
      if (count === 0) return Number.NaN
      let left = Math.max(1, Math.ceil(share * count))
      for (const [index, inBucket] of counts.entries()) {
        left -= inBucket
        if (left <= 0) return SMALLEST_MS * GROWTH ** index
      }
      return SMALLEST_MS * GROWTH ** (BUCKETS - 1)
    },
  }
}
