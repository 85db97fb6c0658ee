/** docs/benchmarks.md, made from one result: nobody writes a number there. */
import { rivalTables } from '../beside/report.ts'
import { figure } from '../statistics.ts'
import { PUBLISHED } from './published.ts'
import { ratiosOf } from './ratios.ts'
import { type BenchResult, resultFile } from './result.ts'
import { drainTable, latencyTable, memoryTable, readsTable, table } from './tables.ts'

export const PAGE = 'docs/benchmarks.md'

export function benchmarksPage(result: BenchResult): string {
  const { figures, commands, versions, load } = result
  const facts = table(
    [
      'measured',
      `${result.measuredAt.slice(0, 16).replace('T', ' ')} UTC${result.size === 'quick' ? ', small sizes' : ''}`,
    ],
    Object.entries(versions),
  )
  const { distributedLatency, rivals } = figures
  const command = (part: string): string => `\`${commands[part] ?? ''}\``
  const parts = [
    `# Benchmarks

Made by \`npm run bench -- readme\` from [${resultFile(result)}](../${resultFile(result)}), which has every round. Figures are medians of the rounds, with the
least and the greatest. Everything runs on one machine over loopback, PostgreSQL without fsync, so absolute figures say more about that machine than about
TrackOps: **take the ratios, and measure your own**: \`npm run bench -- all\`.

${facts}

The load before was ${loadText(load.before)} and after ${loadText(load.after)} (over 1, 5 and 15 minutes); the whole run took ${figure(result.seconds / 60)} minutes.`,
    `## A backlog

${command('drain')}

The same WAL, received by \`pg_recvlogical\` to \`/dev/null\`, and brought by TrackOps into Redis, three keys looked at for each change, with domain events
published. The former only receives: it is the floor, not a rival.

${drainTable(figures.drain)}`,
    `## From commit to key

${command('latency')}

One process for TrackOps, another that writes and is told by Redis when the key is set. 16 connections at most write at a time; the time of a commit begins when it
is sent. The INSERT's round trip is that of the same rows.

${latencyTable(figures.latency)}`,
    ...(distributedLatency
      ? [
          `On Debezium and Kafka, all on this machine (${command('distributedLatency')}):

${latencyTable(distributedLatency)}`,
        ]
      : []),
    `## Cached reads

${command('reads')}

${figures.reads.connections} connections with a request each. Client, service, Redis, PostgreSQL share the machine. The order has three items: two keys in Redis, asked for at once.

${readsTable(figures.reads)}`,
    `## Memory over a large transaction

${command('memory')}

Resident, of TrackOps alone, a new process each round; what V8 lets lie before it collects is in it. \`test/faults/big-transaction.test.ts\` has the bound.

${memoryTable(figures.memory)}`,
    ...(rivals
      ? [
          `## Beside three hand-written consumers, on Kafka

${command('rivals')}

What somebody would write instead (\`bench/rivals\`), on the same topics. A rival that never asks the database, and keeps no versions, does less, and
may leave old values behind; that is counted by \`--soak\`.

${rivalTables(rivals)}`,
        ]
      : []),
    `## The ratios

Ours as a multiple of the plain thing of the same run: less is better. A full run compares them with \`bench/baseline.json\`.

${table(
  ['what', 'ratio'],
  Object.entries(ratiosOf(figures)).map(([name, ratio]) => [name, ratio.toFixed(2)]),
)}`,
    `## What others publish

**Other machines, other work, other ways to measure**: these are no comparison with the tables above. They show what order of size a reader may have in mind.
As read in November 2026; no figure with a set-up was found for Readyset, Materialize, Maxwell, RisingWave's Redis sink, Redpanda Connect.

${table(
  ['system', 'figure', 'set-up', 'source'],
  PUBLISHED.map(({ system, figure: text, setUp, source }) => [system, text, setUp, source]),
)}`,
  ]
  return `${parts.join('\n\n')}\n`
}

export function loadText(load: readonly number[]): string {
  return load.map((each) => each.toFixed(1)).join(', ')
}
