/**
 * What is ours as a multiple of the plain thing of the same run: less is better, in all of them. Machines differ in their figures, much less in
 * these.
 */
import { OURS } from '../beside/contestants.ts'
import type { LatencyFigures } from '../latency.ts'
import { median } from '../statistics.ts'
import type { Figures } from './result.ts'

export type Ratios = Readonly<Record<string, number>>

/** Above them two cores are at their limit: what is measured there is a queue, as long as the machine is slow. */
const MOST_COMMITS_PER_SECOND = { embedded: 1_000, distributed: 100 } as const

export function ratiosOf({ drain, latency, reads, memory, distributedLatency, rivals }: Figures): Ratios {
  const ratios: Record<string, number> = {}
  const compared = drain.rounds.flatMap(({ seconds, rivalSeconds }) => (rivalSeconds ? [seconds / rivalSeconds] : []))
  if (compared.length > 0) ratios['drain: elapsed, of that of pg_recvlogical'] = median(compared)
  Object.assign(ratios, latencyRatios(latency), distributedLatency ? latencyRatios(distributedLatency) : {})
  const { constant, cache, database, GET, reader } = reads.lanes
  const cost = (ours: readonly { perSecond: number }[], plain: readonly { perSecond: number }[]): number =>
    median(ours.map(({ perSecond }, round) => (plain[round]?.perSecond ?? Number.NaN) / perSecond))
  ratios['reads: an order from the cache, of a constant answer'] = cost(cache, constant)
  ratios['reads: an order from the cache, of one from the database'] = cost(cache, database)
  ratios["reads: the reader's get, of a bare GET"] = cost(reader, GET)
  ratios['memory: highest over a large transaction, of idle'] = median(
    memory.rounds.map(({ idleMib, highestMib }) => highestMib / idleMib),
  )
  for (const [name, rounds] of Object.entries(rivals?.drained ?? {})) {
    if (name.startsWith(OURS)) continue
    const own = rivals?.drained[name.endsWith('2 processes') ? `${OURS}, 2 processes` : OURS] ?? []
    ratios[`drain from Kafka: a change, of that of ${name}`] = median(
      own.map(({ changesPerSecond }, round) => (rounds[round]?.changesPerSecond ?? Number.NaN) / changesPerSecond),
    )
  }
  return ratios
}

function latencyRatios({ mode, lanes }: LatencyFigures): Ratios {
  const ratios: Record<string, number> = {}
  for (const [perSecond, rounds] of Map.groupBy(lanes, ({ askedPerSecond }) => askedPerSecond)) {
    if (perSecond > MOST_COMMITS_PER_SECOND[mode]) continue
    const name = `latency, ${mode}, ${perSecond} commits/s: an INSERT's start to its key, of the INSERT (p50)`
    ratios[name] = median(rounds.map(({ fromStart, insert }) => fromStart.p50Ms / insert.p50Ms))
  }
  return ratios
}
