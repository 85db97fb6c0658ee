import { parseArgs } from 'node:util'

import { verifyOnce, WATCH_INTERVAL_SECONDS, WATCH_RATE_KEYS_PER_SECOND, watchContinuously } from '../roles/verify.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { VerifyReport } from '../verify/verify.ts'
import type { WatchReport } from '../verify/watch/watch-report.ts'
import type { CliIo } from './io.ts'
import { withConnections } from './with-connections.ts'

export const VERIFY_USAGE = `trackops verify [--json] [--watch] [--rate KEYS] [--interval SECONDS]

Compares every cached key of every view with the database. What differs is looked at again until the consumers have
passed the change; only what differs then is stale. Exit status: 0 nothing is stale, 1 something is.

  --watch              samples of keys and of rows, those that changed lately first, until it is interrupted; a line an interval.
                       Tells apart what is stale (older than the database), wrong (differs although it says that it is
                       current, or is none of ours), missing (the row changed within the TTL, its view warms all, nothing is
                       there: the next reader fills it) and in flight. Exit status: 1 if something was stale or wrong
  --rate KEYS          keys a second at most; default: no bound, with --watch ${WATCH_RATE_KEYS_PER_SECOND}
  --interval SECONDS   with --watch: between lines, default ${WATCH_INTERVAL_SECONDS}
  --json               one JSON document (with --watch one a line)
`

export async function verify(argv: string[], io: CliIo): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      json: { type: 'boolean', default: false },
      watch: { type: 'boolean', default: false },
      rate: { type: 'string' },
      interval: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    io.stdout.write(VERIFY_USAGE)
    return 0
  }
  const rateKeysPerSecond = numberOf('--rate', values.rate, 'keys a second')
  const intervalSeconds = numberOf('--interval', values.interval, 'seconds') ?? WATCH_INTERVAL_SECONDS
  if (values.interval !== undefined && !values.watch)
    throw new TrackOpsError('USAGE', 'verify --interval goes with --watch.')
  const options = { signal: io.signal, rateKeysPerSecond }
  return await withConnections(io, async (connections) => {
    if (!values.watch) {
      const report = await unlessInterrupted(io, () => verifyOnce(connections, options))
      if (!report) return 1
      io.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : describeReport(report))
      return isClean(report) ? 0 : 1
    }
    let isRight = true
    for await (const report of watchContinuously(connections, { ...options, intervalMs: intervalSeconds * 1000 })) {
      isRight &&= report.violations.stale + report.violations.wrong === 0
      io.stdout.write(`${values.json ? JSON.stringify(report) : describeInterval(report)}\n`)
    }
    return isRight ? 0 : 1
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

function numberOf(option: string, text: string | undefined, unit: string): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(Number.isFinite(value) && value > 0))
    throw new TrackOpsError('USAGE', `verify ${option} ${text}: expected a number of ${unit}.`)
  return value
}

function isClean(report: VerifyReport): boolean {
  return report.staleKeys === 0 && report.failedKeys === 0
}

function describeReport(report: VerifyReport): string {
  const examples = report.examples.map(({ kind, key }) => `${kind.padEnd(12)}  ${key}`)
  const more = report.staleKeys - examples.length
  return `${[...examples, ...(more > 0 ? [`and ${more} more`] : []), ...notes(report), counted(report)].join('\n')}\n`
}

function describeInterval(report: WatchReport): string {
  const { violations, total, oldestDifferenceSeconds: oldest } = report
  const oldestText = oldest === null ? '' : `, oldest ${oldest.toFixed(1)} s`
  const parts = [
    `checked ${report.checkedKeys} keys: ${violations.stale} stale, ${violations.wrong} wrong, ${violations.missing} missing`,
    `${report.inFlightKeys} in flight${oldestText}`,
    ...(report.standingKeys > 0 ? [`${report.standingKeys} still so`] : []),
    ...(report.otherCodeKeys > 0 ? [`${report.otherCodeKeys} of other code`] : []),
    ...(report.failedKeys > 0 ? [`${report.failedKeys} whose view's function threw`] : []),
    ...(report.unfollowedKeys > 0 ? [`${report.unfollowedKeys} not followed`] : []),
    `${report.nines.toFixed(1)} nines of ${total.checkedKeys}`,
    ...(report.interruptedBy === null ? [] : [`interrupted: ${report.interruptedBy}`]),
    ...report.found.slice(0, 3).map(({ kind, difference, key }) => `${kind} (${difference}) ${key}`),
  ]
  return parts.join('; ')
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
