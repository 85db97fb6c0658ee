/** The README's numbers, between its markers, from one result. */
import { OURS } from '../beside/contestants.ts'
import type { CommitToKey } from '../commit-to-key.ts'
import type { LatencyFigures } from '../latency.ts'
import { figure, median, spread } from '../statistics.ts'
import { loadText, PAGE } from './page.ts'
import { type BenchResult, resultFile } from './result.ts'
import { hasRival, lanesByRate, rateOf, rivalSecondsOf, table } from './tables.ts'

const BEGIN = '<!-- numbers -->\n'
const END = '<!-- /numbers -->'

/** What is between the markers now. @throws unless the page has them */
export function numbersIn(page: string): string {
  const [from, to] = placeOf(page)
  return page.slice(from, to)
}

/** The page with these numbers. @throws unless the page has the markers */
export function withNumbers(page: string, numbers: string): string {
  const [from, to] = placeOf(page)
  return page.slice(0, from) + numbers + page.slice(to)
}

function placeOf(page: string): readonly [number, number] {
  const from = page.indexOf(BEGIN)
  const to = page.indexOf(END)
  if (from === -1 || to < from) throw new Error(`the page has no ${BEGIN.trim()} and ${END} behind it`)
  return [from + BEGIN.length, to]
}

type Line = readonly [what: string, figures: string, how: string]

export function readmeNumbers(result: BenchResult): string {
  const { measuredAt, versions, load, figures } = result
  const lines: readonly Line[] = [
    ...drainLines(result),
    ...latencyLines(figures.latency, 'without Kafka', 'latency'),
    ...(figures.distributedLatency
      ? latencyLines(figures.distributedLatency, 'on Debezium and Kafka', 'latency --mode distributed')
      : []),
    ...readsLines(result),
    memoryLine(result),
    ...rivalLines(result),
    [
      'read-your-writes, 10,000 writes read back at once with their tokens',
      '0 old answers',
      '`test/end-to-end/read-your-writes.test.ts`',
    ],
  ]
  return `Measured on ${measuredAt.slice(0, 10)} on ${versions['machine'] ?? 'an unknown machine'} for everything (PostgreSQL ${versions['postgresql'] ?? '?'}, Redis ${versions['redis'] ?? '?'}, Node ${versions['node'] ?? '?'}, the load
itself), loopback, a load of ${loadText(load.before.slice(0, 1))} before. Medians, with the least and the greatest of the rounds, from [${resultFile(result)}](${resultFile(result)}); [all of them](${PAGE}), beside
what others publish. Take the ratios, measure your own: \`npm run bench -- all\`.

${table(['what', 'figure', 'how'], lines)}

${drainAim(result)}
`
}

function drainLines({ figures: { drain } }: BenchResult): readonly Line[] {
  const { rounds } = drain
  const how = '`npm run bench -- drain`'
  const elapsed = spread(rounds.map(({ seconds }) => seconds))
  const cpu = (part: 'trackops' | 'redis' | 'postgresql'): string =>
    spread(rounds.map(({ cpuSeconds }) => cpuSeconds[part]))
  return [
    [
      `a backlog of ${figure(drain.changes)} changes, 3 keys each looked at, domain events published${hasRival(rounds) ? '; beside `pg_recvlogical` to `/dev/null` on the same WAL' : ''}`,
      hasRival(rounds) ? `${elapsed} s; ${spread(rounds.map(rivalSecondsOf))} s` : `${elapsed} s`,
      how,
    ],
    [
      'the same: CPU of this process, of Redis, of PostgreSQL',
      `${cpu('trackops')} s; ${cpu('redis')} s; ${cpu('postgresql')} s`,
      how,
    ],
  ]
}

function latencyLines({ lanes }: LatencyFigures, where: string, command: string): readonly Line[] {
  return lanesByRate(lanes).map(([asked, rounds]) => {
    const of = (pick: (lane: CommitToKey) => number): string => spread(rounds.map(pick))
    return [
      `from COMMIT to the key in Redis, ${where}, ${rateOf(asked, rounds)}: p50; p99; the INSERT's round trip, p50`,
      `${of(({ fromCommit }) => fromCommit.p50Ms)} ms; ${of(({ fromCommit }) => fromCommit.p99Ms)} ms; ${of(({ insert }) => insert.p50Ms)} ms`,
      `\`npm run bench -- ${command}\``,
    ]
  })
}

function readsLines({ figures: { reads } }: BenchResult): readonly Line[] {
  const of = (lane: keyof typeof reads.lanes): string => spread(reads.lanes[lane].map(({ perSecond }) => perSecond))
  const how = '`npm run bench -- reads`'
  return [
    [
      `an order by HTTP, ${reads.connections} connections: from the cache; the same server's constant answer; from the database`,
      `${of('cache')}/s; ${of('constant')}/s; ${of('database')}/s`,
      how,
    ],
    ["the reader's `get` alone; a bare GET of the same client", `${of('reader')}/s; ${of('GET')}/s`, how],
  ]
}

function memoryLine({ figures: { memory } }: BenchResult): Line {
  return [
    `resident memory over a transaction of ${figure(memory.rows)} rows: at most; idle before`,
    `${spread(memory.rounds.map(({ highestMib }) => highestMib))} MiB; ${spread(memory.rounds.map(({ idleMib }) => idleMib))} MiB`,
    '`npm run bench -- memory`; the tests’ bound: `test/faults/big-transaction.test.ts`',
  ]
}

function rivalLines({ figures: { rivals } }: BenchResult): readonly Line[] {
  const alone = Object.entries(rivals?.drained ?? {}).filter(([name]) => !name.endsWith('processes'))
  if (alone.length === 0) return []
  return [
    [
      `a backlog in Kafka, in changes/s, the warmer alone in one process: ${alone.map(([name]) => (name === OURS ? 'TrackOps' : name)).join('; ')}`,
      alone.map(([, rounds]) => spread(rounds.map(({ changesPerSecond }) => changesPerSecond))).join('; '),
      '`npm run bench -- rivals`',
    ],
  ]
}

function drainAim({ figures: { drain } }: BenchResult): string {
  const ways =
    'this process and Redis take most of it (decoding, documents, the version check of every key). A transaction of up to 2,000 changes is one atomic call; beyond, it is read twice.'
  if (!hasRival(drain.rounds))
    return `\`pg_recvlogical\` was not installed where this was measured: nothing to compare the backlog with. It is bound by CPU: ${ways}`
  const times = median(drain.rounds.map((round) => round.seconds / rivalSecondsOf(round)))
  const verdict =
    times > 1
      ? `The aim was to be no slower, and is missed: TrackOps takes ${figure(times)} times as long, bound by CPU: ${ways}`
      : `The aim was to be no slower: TrackOps takes ${figure(times)} of its time.`
  return `\`pg_recvlogical\` only receives: it is the floor, not a rival. ${verdict}`
}
