import { parseArgs } from 'node:util'

import { verifyContinuously, verifyOnce, WATCH_RATE_KEYS_PER_SECOND } from '../roles/verify.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { VerifyReport } from '../verify/verify.ts'
import type { CliIo } from './io.ts'
import { withConnections } from './with-connections.ts'

export const VERIFY_USAGE = `trackops verify [--json] [--watch] [--rate KEYS]

Compares every cached key of every view with the database. What differs is looked at again until the consumers have
passed the change; only what differs then is stale. Exit status: 0 nothing is stale, 1 something is.

  --watch       again and again, one line a round, until it is interrupted
  --rate KEYS   keys a second at most; default: no bound, with --watch ${WATCH_RATE_KEYS_PER_SECOND}
  --json        one JSON document (with --watch one a line)
`

export async function verify(argv: string[], io: CliIo): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      json: { type: 'boolean', default: false },
      watch: { type: 'boolean', default: false },
      rate: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    io.stdout.write(VERIFY_USAGE)
    return 0
  }
  const options = { signal: io.signal, rateKeysPerSecond: rateOf(values.rate) }
  return await withConnections(io, async (connections) => {
    if (!values.watch) {
      const report = await unlessInterrupted(io, () => verifyOnce(connections, options))
      if (!report) return 1
      io.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : describeReport(report))
      return isClean(report) ? 0 : 1
    }
    let allClean = true
    for await (const report of verifyContinuously(connections, options)) {
      allClean &&= isClean(report)
      io.stdout.write(values.json ? `${JSON.stringify(report)}\n` : `${describeRound(report)}\n`)
    }
    return allClean ? 0 : 1
  })
}

/** undefined, and a line that says so, if somebody stopped it: what was not looked at may be stale. */
async function unlessInterrupted<T>(io: CliIo, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!io.signal.aborted) throw error
    io.stderr.write('trackops: verify was interrupted before it had looked at every key\n')
    return undefined
  }
}

function rateOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const rate = Number(text)
  if (!(Number.isFinite(rate) && rate > 0))
    throw new TrackOpsError('USAGE', `verify --rate ${text}: expected a number of keys a second.`)
  return rate
}

function isClean(report: VerifyReport): boolean {
  return report.staleKeys === 0 && report.failedKeys === 0
}

function describeReport(report: VerifyReport): string {
  const examples = report.examples.map(({ kind, key }) => `${kind.padEnd(12)}  ${key}`)
  const more = report.staleKeys - examples.length
  return `${[...examples, ...(more > 0 ? [`and ${more} more`] : []), ...notes(report), counted(report)].join('\n')}\n`
}

function describeRound(report: VerifyReport): string {
  const examples = report.examples.slice(0, 3).map(({ kind, key }) => `${kind} ${key}`)
  const rest = [...notes(report), ...examples]
  return rest.length === 0 ? counted(report) : `${counted(report)} (${rest.join('; ')})`
}

function notes(report: VerifyReport): readonly string[] {
  const kinds = Object.entries(report.byKind).filter(([, count]) => count > 0)
  return [
    ...(kinds.length > 0 ? [kinds.map(([kind, count]) => `${count} ${kind}`).join(', ')] : []),
    ...(report.otherCodeKeys > 0
      ? [`${report.otherCodeKeys} made by other code of their view, which readers take for misses: not stale`]
      : []),
    ...(report.unsettledKeys > 0 ? [`${report.unsettledKeys} changed too often to be compared: not counted`] : []),
    ...(report.failedKeys > 0 ? [`${report.failedKeys} whose view's function threw: not comparable`] : []),
  ]
}

function counted(report: VerifyReport): string {
  return `checked ${report.checkedKeys} keys: ${report.staleKeys} stale`
}
