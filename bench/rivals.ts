/**
 * TrackOps in its distributed mode beside three hand-written consumers (bench/rivals): on one machine, one stack, the same changes.
 *
 *   npm run bench -- rivals [--changes 50000] [--rounds 3] [--latency 20] [--soak 150] [--orders 2000]
 *
 * Drain: a backlog in a topic of 12 partitions, into an empty Redis, in turns. Latency: 100 commits a second. Staleness: both at once,
 * with readers, and with consumers killed, Redis restored from an older dump, and changes delivered again. A part with 0 is left out.
 */
import { writeFileSync } from 'node:fs'

import { type Contestant, ours, rival } from './beside/contestants.ts'
import { type Drained, drainOnce, writeBacklog } from './beside/drain.ts'
import { type Latency, measureLatencies } from './beside/latency.ts'
import { ourReader, rivalReader } from './beside/readers.ts'
import { markdownOf, type Report, versionsOf } from './beside/report.ts'
import { startServers } from './beside/servers.ts'
import { type Judgement, measureStaleness } from './beside/staleness.ts'
import type { Bench } from './measure.ts'

const LATENCY_PER_SECOND = 100
const WRITES_PER_SECOND = 100

export const rivals: Bench = async ({ options, scope, print }) => {
  const changes = options.number('changes', 50_000)
  const rounds = options.number('rounds', 3)
  const latencySeconds = options.number('latency', 20)
  const soakSeconds = options.number('soak', 150)
  const orders = options.number('orders', 2000)
  const servers = await startServers(scope)
  const us = await ours(scope, servers)
  const careful = await rival(scope, servers, { concurrency: 1, warmFrom: 'select' })
  const fast = await rival(scope, servers, { concurrency: 1, warmFrom: 'event' })
  const fastest = await rival(scope, servers, { concurrency: 100, warmFrom: 'event' })

  const drained = new Map<string, Drained[]>()
  if (changes > 0 && rounds > 0) {
    print(`writing ${changes} changes`)
    await writeBacklog(servers.sql, changes)
    await servers.ends()
    const lanes: [Contestant, number][] = [
      [us, 1],
      [us, 2],
      [careful, 1],
      [fast, 1],
      [fastest, 1],
      [fastest, 2],
    ]
    for (let round = 0; round < rounds; round++) {
      for (const [contestant, processes] of lanes) {
        const name = `${contestant.name}${processes > 1 ? `, ${processes} processes` : ''}`
        const result = await drainOnce(contestant, servers, processes)
        print(`  ${name}: ${result.changesPerSecond} changes/s, ${result.cpuMsPerThousand} ms of CPU for 1,000`)
        drained.set(name, [...(drained.get(name) ?? []), result])
      }
    }
  }

  const latency = new Map<string, Latency[]>()
  if (latencySeconds > 0) {
    for (let round = 0; round < rounds; round++) {
      const lanes: [Contestant, boolean][] = [
        [us, true],
        [us, false],
        [careful, true],
        [fast, true],
      ]
      for (const [contestant, hasPublisher] of lanes) {
        const name = `${contestant.name}${hasPublisher ? '' : ', without its publisher'}`
        const measured = await measureLatencies(contestant, servers, {
          rates: [LATENCY_PER_SECOND],
          seconds: latencySeconds,
          hasPublisher,
        })
        for (const { fromCommit } of measured)
          print(`  ${name}: p50 ${fromCommit.p50Ms} ms, p99 ${fromCommit.p99Ms} ms`)
        latency.set(name, [...(latency.get(name) ?? []), ...measured])
      }
    }
  }

  let judgements: ReadonlyMap<string, Judgement> = new Map()
  if (soakSeconds > 0) {
    print(`readers, writers and faults for ${soakSeconds} s`)
    judgements = await measureStaleness(
      servers,
      [
        { contestant: us, read: await ourReader(scope, servers, us) },
        { contestant: careful, read: rivalReader(servers, careful) },
        { contestant: fast, read: rivalReader(servers, fast) },
      ],
      { orders, seconds: soakSeconds, writesPerSecond: WRITES_PER_SECOND },
      print,
    )
  }

  const report: Report = {
    versions: await versionsOf(servers.sql, us.redis),
    options: { changes, rounds, latencySeconds, soakSeconds, orders },
    drained: Object.fromEntries(drained),
    latency: Object.fromEntries(latency),
    staleness: Object.fromEntries(judgements),
  }
  writeFileSync('rivals-report.json', `${JSON.stringify(report, null, 2)}\n`)
  print(`\n${markdownOf(report)}\n\n(also in rivals-report.json)`)
  return report
}
