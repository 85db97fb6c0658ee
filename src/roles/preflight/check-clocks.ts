import { callRedis } from '../../cache/redis-call.ts'
import type { Check, ClockContext, Finding } from './finding.ts'

/** Larger than any lag that is worth a graph, smaller than any time that the protocol itself relies on. */
const WARNING_MS = 500
const ROUNDS = 3

/** One clock seen from this machine: by how much it is ahead, and how far that can be wrong. Milliseconds. */
export interface ClockReading {
  readonly aheadMs: number
  readonly errorMs: number
}

/** The clocks of PostgreSQL and Redis against this machine's. No rule of the protocol needs them; lag in seconds does. */
export const checkClocks: Check<ClockContext> = {
  name: 'clocks',
  async run({ sql, redis, timeoutMs, now }) {
    const postgres = await readClock(now, async () => {
      const [row] = await sql<{ ms: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`
      return row?.ms ?? Number.NaN
    })
    const ofRedis = await readClock(now, async () => {
      const reply = await callRedis(redis, ['TIME'], timeoutMs)
      const [seconds, micros] = Array.isArray(reply) ? reply.map(Number) : []
      return (seconds ?? Number.NaN) * 1000 + (micros ?? Number.NaN) / 1000
    })
    return [...judgeClock('PostgreSQL', postgres), ...judgeClock('Redis', ofRedis)]
  },
}

/** Pure. */
export function judgeClock(name: string, { aheadMs, errorMs }: ClockReading): readonly Finding[] {
  if (Math.abs(aheadMs) - errorMs <= WARNING_MS) return []
  return [
    {
      id: 'clock-skew',
      severity: 'warning',
      finding: `the clock of ${name} is ${(Math.abs(aheadMs) / 1000).toFixed(1)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's`,
      consequence:
        'Lag in seconds, in metrics and in the console, is wrong by as much. What is cached is not touched by it.',
      mend: 'Synchronise the clocks (chrony, systemd-timesyncd) of both machines.',
    },
  ]
}

/** The round that took least bounds the error best. */
async function readClock(now: () => number, ask: () => Promise<number>): Promise<ClockReading> {
  let best: ClockReading | undefined
  for (let round = 0; round < ROUNDS; round++) {
    const before = now()
    const theirs = await ask()
    const after = now()
    const reading = { aheadMs: theirs - (before + after) / 2, errorMs: (after - before) / 2 }
    if (!best || reading.errorMs < best.errorMs) best = reading
  }
  if (!best || Number.isNaN(best.aheadMs)) throw new Error('the server did not tell the time')
  return best
}
