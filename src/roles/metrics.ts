import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

import { asSeparate } from '../consume/stream-consumer.ts'
import { VIOLATION_KINDS } from '../verify/watch/name-violation.ts'
import type { WatchReport } from '../verify/watch/watch-report.ts'
import type { PipelineStatus } from './pipeline.ts'

/** Every metric of TrackOps, with unit and meaning; `docs/reference/metrics.md` says what to watch. */
export interface Metrics {
  readonly registry: Registry
  readonly cacheRead: (view: string, source: 'hit' | 'miss' | 'bypass', durationMs: number) => void
  readonly cacheFill: (view: string, what: 'stored' | 'not-stored' | 'lease-lost' | 'failed', keys: number) => void
  /** From a transaction's commit, by the database's clock, to the reply of Redis, by ours. */
  commitToCache(seconds: number): void
  /** What the watch of this process found in an interval. */
  verified(report: WatchReport): void
  readonly reads: () => ReadCounts
}

export interface ReadCounts {
  readonly hits: number
  readonly misses: number
  readonly bypasses: number
}

export interface MetricsSources {
  readonly pipeline: () => PipelineStatus | null
  readonly deadLetters: () => number
  readonly slotRetainedBytes: () => number | null
}

/** From half a millisecond (a quiet machine) to ten seconds (something is wrong). */
/** A hit is a round trip to Redis; a miss one more to PostgreSQL and two more to Redis. */
const READ_BUCKETS = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5]
const COMMIT_TO_CACHE_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const counts = { hit: 0, miss: 0, bypass: 0 }

  const readSeconds = new Histogram({
    name: 'cdc_cache_read_seconds',
    help: 'Reads by view and by where the answer came from: how many, and how long they took',
    labelNames: ['view', 'source'],
    buckets: READ_BUCKETS,
    registers,
  })
  const fills = new Counter({
    name: 'cdc_cache_fills_total',
    help: 'Keys that were read from the database for the cache, by what became of them',
    labelNames: ['view', 'result'],
    registers,
  })
  const commitToCache = new Histogram({
    name: 'cdc_cache_commit_to_cache_seconds',
    help: "From a transaction's commit (database clock) to the reply of Redis (our clock)",
    buckets: COMMIT_TO_CACHE_BUCKETS,
    registers,
  })
  gauge('cdc_capture_lag_bytes', "WAL bytes between the server's end and what was received", () => {
    const capture = sources.pipeline()?.capture
    return capture ? Math.max(0, Number(capture.serverLsn - capture.receivedLsn)) : null
  })
  gauge('cdc_capture_unacked_bytes', 'WAL bytes between what was received and what was acked to PostgreSQL', () => {
    const capture = sources.pipeline()?.capture
    return capture ? Math.max(0, Number(capture.receivedLsn - capture.ackedLsn)) : null
  })
  gauge('cdc_capture_reconnections', 'Connections made anew since this slot was opened', () => {
    return sources.pipeline()?.capture?.reconnections ?? null
  })
  gauge('cdc_capture_is_streaming', '1 while changes are being delivered', () => {
    return sources.pipeline()?.capture?.state === 'streaming' ? 1 : 0
  })
  gauge('cdc_consume_dead_letters', 'Dead letters that wait for somebody', sources.deadLetters)
  gauge(
    'cdc_slot_retained_bytes',
    'WAL bytes that the replication slot keeps from being removed',
    sources.slotRetainedBytes,
  )

  new Gauge({
    name: 'cdc_consume_processed_changes',
    help: 'Change events processed since the process began',
    labelNames: ['consumer'],
    registers,
    collect() {
      for (const consumer of sources.pipeline()?.consumers ?? [])
        this.set({ consumer: consumer.name }, consumer.processedCount)
    },
  })
  new Gauge({
    name: 'cdc_consume_lag_bytes',
    help: 'WAL bytes between what was received and what the consumer has applied',
    labelNames: ['consumer'],
    registers,
    collect() {
      const status = sources.pipeline()
      for (const consumer of status?.consumers.flatMap(asSeparate) ?? []) {
        if (!status?.capture || !consumer.appliedPosition) continue
        const lag = Number(status.capture.receivedLsn - consumer.appliedPosition.commitLsn)
        this.set({ consumer: consumer.name }, Math.max(0, lag))
      }
    },
  })

  new Gauge({
    name: 'cdc_consume_lag_messages',
    help: 'Distributed: records between what the consumer has applied and the end of the partitions that this process has',
    labelNames: ['consumer'],
    registers,
    collect() {
      for (const { name, lagMessages } of sources.pipeline()?.consumers ?? [])
        if (typeof lagMessages === 'number') this.set({ consumer: name }, lagMessages)
    },
  })

  const verified = new Counter({
    name: 'cdc_verify_checked_total',
    help: 'Looks at keys that were compared with the database',
    registers,
  })
  const violations = new Counter({
    name: 'cdc_verify_violations_total',
    help: 'Looks that found a proven difference: stale or wrong; missing, which is no wrong answer',
    labelNames: ['kind'],
    registers,
  })
  for (const kind of VIOLATION_KINDS) violations.inc({ kind }, 0)
  let lastWatched: WatchReport | null = null
  gauge('cdc_verify_oldest_difference_seconds', 'How long a key differs that differs now, proven or in flight', () =>
    lastWatched ? (lastWatched.oldestDifferenceSeconds ?? 0) : null,
  )
  gauge('cdc_verify_nines', 'Nines of cached answers that are right, as far as the looks of this process prove', () =>
    lastWatched ? lastWatched.nines : null,
  )

  function gauge(name: string, help: string, read: () => number | null): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const value = read()
        if (value === null) this.remove()
        else this.set(value)
      },
    })
  }

  return {
    registry,
    cacheRead(view, source, durationMs) {
      counts[source]++
      readSeconds.observe({ view, source }, durationMs / 1000)
    },
    cacheFill: (view, what, keys) => fills.inc({ view, result: what }, keys),
    commitToCache: (seconds) => commitToCache.observe(Math.max(0, seconds)),
    verified(report) {
      lastWatched = report
      verified.inc(report.checkedKeys)
      for (const kind of VIOLATION_KINDS) violations.inc({ kind }, report.violations[kind])
    },
    reads: () => ({ hits: counts.hit, misses: counts.miss, bypasses: counts.bypass }),
  }
}
