import type { CommitToKey } from '../commit-to-key.ts'
import type { LatencyFigures } from '../latency.ts'
import type { Throughput } from '../reads/http-load.ts'
import type { BenchResult } from './result.ts'

/** A result with figures that no machine would have. */
export function resultOf(changed: Partial<BenchResult> = {}): BenchResult {
  return {
    measuredAt: '2001-02-03T04:05:06.789Z',
    size: 'full',
    seconds: 600,
    versions: { machine: '2 x Abacus, 1 GiB', node: 'v24.0.0', postgresql: '18.4', redis: '7.0.15' },
    load: { before: [0.1, 0.2, 0.3], after: [1, 2, 3] },
    commands: {
      drain: 'npm run bench -- drain --rounds 2',
      latency: 'npm run bench -- latency',
      distributedLatency: 'npm run bench -- latency --mode distributed',
      reads: 'npm run bench -- reads',
      memory: 'npm run bench -- memory',
      rivals: 'npm run bench -- rivals',
    },
    figures: {
      drain: {
        changes: 1_000,
        rounds: [
          { rivalSeconds: 1, seconds: 4, cpuSeconds: { trackops: 2, redis: 1, postgresql: 0.5 } },
          { rivalSeconds: 2, seconds: 12, cpuSeconds: { trackops: 2, redis: 1, postgresql: 0.5 } },
        ],
      },
      latency: latencyOf('embedded', [
        [100, 100],
        [5_000, 3_000],
      ]),
      distributedLatency: latencyOf('distributed', [
        [100, 100],
        [1_000, 1_000],
      ]),
      reads: {
        connections: 16,
        orders: 10,
        seconds: 1,
        lanes: {
          constant: [throughputOf(20_000)],
          cache: [throughputOf(10_000)],
          database: [throughputOf(2_000)],
          GET: [throughputOf(60_000)],
          reader: [throughputOf(20_000)],
        },
      },
      memory: { rows: 500, rounds: [{ idleMib: 200, highestMib: 500, seconds: 1 }] },
      rivals: {
        drained: {
          trackops: [{ changesPerSecond: 1_000, cpuMsPerThousand: 50, firstAfterMs: 1 }],
          'rival, simple': [{ changesPerSecond: 3_000, cpuMsPerThousand: 10, firstAfterMs: 1 }],
        },
        latency: {},
        staleness: {},
      },
    },
    ...changed,
  }
}

function latencyOf(
  mode: LatencyFigures['mode'],
  rates: readonly (readonly [asked: number, reached: number])[],
): LatencyFigures {
  const lanes = rates.map(([askedPerSecond, reachedPerSecond]): CommitToKey => ({
    askedPerSecond,
    reachedPerSecond,
    commits: 10,
    insert: { p50Ms: 1, p99Ms: 2, maxMs: 3 },
    fromStart: { p50Ms: 4, p99Ms: 5, maxMs: 6 },
    fromCommit: { p50Ms: 3, p99Ms: 4.5, maxMs: 5.5 },
  }))
  return { mode, seconds: 1, lanes }
}

function throughputOf(perSecond: number): Throughput {
  return { perSecond, p50Ms: 1, p99Ms: 2, maxMs: 3 }
}
