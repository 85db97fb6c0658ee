import { cpus, loadavg, totalmem } from 'node:os'

import type { Sql } from 'postgres'

import type { RedisClient } from '../../src/roles/redis-client.ts'
import { median, spread } from '../statistics.ts'
import { OURS } from './contestants.ts'
import type { Drained } from './drain.ts'
import type { Latency } from './latency.ts'
import type { Judgement } from './staleness.ts'

export interface Report {
  readonly versions: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, number>>
  readonly drained: Readonly<Record<string, readonly Drained[]>>
  readonly latency: Readonly<Record<string, readonly Latency[]>>
  readonly staleness: Readonly<Record<string, Judgement>>
}

export async function versionsOf(sql: Sql, redis: RedisClient): Promise<Readonly<Record<string, string>>> {
  const [row] = await sql<{ version: string }[]>`select current_setting('server_version') as version`
  const info = await redis.info('server')
  return {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    load: loadavg()
      .map((load) => load.toFixed(1))
      .join(' '),
    node: process.version,
    postgresql: row?.version ?? 'unknown',
    redis: /(?:valkey|redis)_version:(\S+)/.exec(info)?.[1] ?? 'unknown',
  }
}

export function markdownOf(report: Report): string {
  const { versions, options } = report
  const facts = Object.entries(versions).map(([name, value]) => `${name} ${value}`)
  const command = `npm run bench -- rivals --changes ${options['changes']} --rounds ${options['rounds']} --latency ${options['latencySeconds']} --soak ${options['soakSeconds']} --orders ${options['orders']}`
  return `# TrackOps beside three hand-written consumers\n\n${facts.join('; ')}\n\n\`${command}\`\n\n${rivalTables(report)}`
}

/** Medians, with the least and the greatest of the rounds; a ratio is to the first line, which is ours. */
export function rivalTables({
  drained,
  latency,
  staleness,
}: Pick<Report, 'drained' | 'latency' | 'staleness'>): string {
  const lines: string[] = []
  if (Object.keys(drained).length > 0) {
    lines.push(
      '| drain, warmer alone, 12 partitions | changes/s | of TrackOps | ms of CPU for 1,000 |',
      '|---|---|---|---|',
    )
    const base = median((drained[OURS] ?? []).map(({ changesPerSecond }) => changesPerSecond))
    for (const [name, rounds] of Object.entries(drained)) {
      const rates = rounds.map(({ changesPerSecond }) => changesPerSecond)
      const cpu = rounds.map(({ cpuMsPerThousand }) => cpuMsPerThousand)
      lines.push(`| ${name} | ${spread(rates)} | ${(median(rates) / base).toFixed(2)} | ${spread(cpu)} |`)
    }
    lines.push('')
  }
  if (Object.keys(latency).length > 0) {
    lines.push('| commit to key, 100 commits/s | p50 ms | p99 ms | longest ms |', '|---|---|---|---|')
    for (const [name, rounds] of Object.entries(latency))
      lines.push(
        `| ${name} | ${spread(rounds.map(({ fromCommit }) => fromCommit.p50Ms))} | ${spread(rounds.map(({ fromCommit }) => fromCommit.p99Ms))} | ${spread(rounds.map(({ fromCommit }) => fromCommit.maxMs))} |`,
      )
    lines.push('')
  }
  if (Object.keys(staleness).length > 0) {
    lines.push(
      '| readers and faults | reads checked | went back (P2) | older than processed (P3) | wrong at rest (P1) | of cached | other rules | failed reads |',
      '|---|---|---|---|---|---|---|---|',
    )
    for (const [name, { checkedReads, violations, cachedAtRest, failedReads }] of Object.entries(staleness)) {
      const { P1 = 0, P2 = 0, P3 = 0, ...others } = violations
      const rest = Object.values(others).reduce((sum, count) => sum + count, 0)
      lines.push(`| ${name} | ${checkedReads} | ${P2} | ${P3} | ${P1} | ${cachedAtRest} | ${rest} | ${failedReads} |`)
    }
  }
  return lines.join('\n').trimEnd()
}
