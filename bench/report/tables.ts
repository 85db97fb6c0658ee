/** The figures of each part as a table: medians of the rounds, with the least and the greatest. */
import type { CommitToKey } from '../commit-to-key.ts'
import type { DrainFigures, DrainRound } from '../drain.ts'
import type { LatencyFigures } from '../latency.ts'
import type { MemoryFigures } from '../memory.ts'
import { LANES, type Lane, type ReadsFigures } from '../reads.ts'
import { figure, median, type Quantiles, spread } from '../statistics.ts'

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

export function drainTable({ changes, rounds }: DrainFigures): string {
  const seconds = (of: (round: DrainRound) => number): string => spread(rounds.map(of))
  return table(
    [`${figure(changes)} changes`, 'seconds', 'changes/s', 'of `pg_recvlogical`'],
    [
      ...(hasRival(rounds)
        ? [['`pg_recvlogical`', spread(rounds.map(rivalSecondsOf)), perSecond(changes, rounds, rivalSecondsOf), '1']]
        : []),
      [
        'TrackOps',
        seconds((round) => round.seconds),
        perSecond(changes, rounds, (round) => round.seconds),
        hasRival(rounds) ? spread(rounds.map((round) => round.seconds / rivalSecondsOf(round))) : '',
      ],
      ['CPU of this process', seconds((round) => round.cpuSeconds.trackops), '', ''],
      ['CPU of Redis', seconds((round) => round.cpuSeconds.redis), '', ''],
      ['CPU of PostgreSQL', seconds((round) => round.cpuSeconds.postgresql), '', ''],
    ],
  )
}

export function hasRival(rounds: readonly DrainRound[]): boolean {
  return rounds.every(({ rivalSeconds }) => rivalSeconds !== null)
}

export function rivalSecondsOf({ rivalSeconds }: DrainRound): number {
  return rivalSeconds ?? Number.NaN
}

function perSecond(changes: number, rounds: readonly DrainRound[], secondsOf: (round: DrainRound) => number): string {
  return spread(rounds.map((round) => Math.round(changes / secondsOf(round))))
}

export function latencyTable({ lanes }: LatencyFigures): string {
  const rows = lanesByRate(lanes).flatMap(([asked, rounds]) => {
    const row = (what: string, of: (lane: CommitToKey) => Quantiles): readonly string[] => [
      rateOf(asked, rounds),
      what,
      ...quantileCells(rounds.map(of)),
    ]
    return [
      row("the INSERT's round trip", ({ insert }) => insert),
      row('from its start to the key', ({ fromStart }) => fromStart),
      row("from COMMIT's return to the key", ({ fromCommit }) => fromCommit),
    ]
  })
  return table(['rate', 'what', 'p50 ms', 'p99 ms', 'longest ms'], rows)
}

export function lanesByRate(lanes: readonly CommitToKey[]): readonly (readonly [number, readonly CommitToKey[]])[] {
  return [...Map.groupBy(lanes, ({ askedPerSecond }) => askedPerSecond)]
}

/** What was reached, where that is not what was asked for. */
export function rateOf(asked: number, rounds: readonly CommitToKey[]): string {
  const reached = median(rounds.map(({ reachedPerSecond }) => reachedPerSecond))
  const rate = `${figure(asked)} commits/s`
  return reached < asked * 0.99 ? `${rate} asked for, ${figure(reached)} reached` : rate
}

export function quantileCells(rounds: readonly Quantiles[]): readonly string[] {
  return [
    spread(rounds.map(({ p50Ms }) => p50Ms)),
    spread(rounds.map(({ p99Ms }) => p99Ms)),
    spread(rounds.map(({ maxMs }) => maxMs)),
  ]
}

const LANE_NAMES: Readonly<Record<Lane, string>> = {
  constant: 'the same server, a constant answer of that size',
  cache: '`GET /api/orders/:id`, two keys of the cache, all hits',
  database: 'the same order by two SELECTs of the same driver',
  GET: "no HTTP: the Redis client's bare GET",
  reader: "no HTTP: the reader's `get`, all hits",
}

export function readsTable({ lanes }: ReadsFigures): string {
  return table(
    ['what', 'reads/s', 'p50 ms', 'p99 ms'],
    LANES.map((lane) => {
      const rounds = lanes[lane]
      return [
        LANE_NAMES[lane],
        spread(rounds.map((round) => round.perSecond)),
        spread(rounds.map((round) => round.p50Ms)),
        spread(rounds.map((round) => round.p99Ms)),
      ]
    }),
  )
}

export function memoryTable({ rows, rounds }: MemoryFigures): string {
  return table(
    ['rows in the transaction', 'resident MiB, idle', 'at most', 'seconds'],
    [
      [
        figure(rows),
        spread(rounds.map(({ idleMib }) => idleMib)),
        spread(rounds.map(({ highestMib }) => highestMib)),
        spread(rounds.map(({ seconds }) => seconds)),
      ],
    ],
  )
}
