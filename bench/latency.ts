/**
 * How long after a commit is its key in Redis? Beside what the INSERT itself takes, of the same rows.
 *
 *   npm run bench -- latency [--rates 100,1000,5000] [--seconds 10] [--rounds 3] [--mode embedded|distributed]
 *
 * Rates take turns, in several rounds. TrackOps is a process of its own; this one writes, and is told by Redis when a key is set.
 */
import { ours } from './beside/contestants.ts'
import { measureLatencies } from './beside/latency.ts'
import { startServers } from './beside/servers.ts'
import { type CommitToKey, measureCommitToKey, warmUp } from './commit-to-key.ts'
import { startEmbeddedSystem } from './embedded-system.ts'
import type { Bench, BenchContext } from './measure.ts'

export interface LatencyFigures {
  readonly mode: 'embedded' | 'distributed'
  readonly seconds: number
  /** One for each rate and round. */
  readonly lanes: readonly CommitToKey[]
}

type MeasureRates = (rates: readonly number[], seconds: number) => Promise<readonly CommitToKey[]>

const WARM_UP_COMMITS = 2_000

export const latency: Bench = async (context): Promise<LatencyFigures> => {
  const { options, print } = context
  const rates = options.text('rates', '100,1000,5000').split(',').map(Number)
  const seconds = options.number('seconds', 10)
  const rounds = options.number('rounds', 3)
  const mode = options.text('mode', 'embedded') === 'distributed' ? 'distributed' : 'embedded'
  const measureRates = await (mode === 'distributed' ? distributed(context) : embedded(context))
  const lanes: CommitToKey[] = []
  for (let round = 0; round < rounds; round++) {
    for (const lane of await measureRates(rates, seconds)) {
      print(`  ${lineOf(lane)}`)
      lanes.push(lane)
    }
  }
  return { mode, seconds, lanes }
}

async function embedded({ scope }: BenchContext): Promise<MeasureRates> {
  const system = await startEmbeddedSystem(scope)
  await warmUp(system.sql, WARM_UP_COMMITS)
  await system.caughtUp()
  return async (rates, seconds) => {
    const measured: CommitToKey[] = []
    for (const perSecond of rates) measured.push(await measureCommitToKey(system, { perSecond, seconds }))
    return measured
  }
}

async function distributed({ scope }: BenchContext): Promise<MeasureRates> {
  const servers = await startServers(scope)
  const us = await ours(scope, servers)
  return (rates, seconds) => measureLatencies(us, servers, { rates, seconds, hasPublisher: true })
}

function lineOf({ askedPerSecond, reachedPerSecond, insert, fromStart, fromCommit }: CommitToKey): string {
  const rate = `${askedPerSecond} commits/s${reachedPerSecond < askedPerSecond * 0.99 ? ` asked for, ${reachedPerSecond} reached` : ''}`
  const told = [
    ['INSERT', insert],
    ['from its start', fromStart],
    ['from COMMIT', fromCommit],
  ] as const
  return `${rate}: ${told.map(([what, { p50Ms, p99Ms, maxMs }]) => `${what} ${p50Ms} / ${p99Ms} / ${maxMs}`).join(', ')} ms (p50 / p99 / longest)`
}
