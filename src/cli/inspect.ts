import { parseArgs } from 'node:util'

import { inspect as inspectKey } from '../roles/inspect.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { DescribedVersion, Inspection } from '../verify/inspect-key.ts'
import type { CliIo } from './io.ts'
import { withConnections } from './with-connections.ts'

export const INSPECT_USAGE = `trackops inspect KEY [--json]

What is known about a key of Redis: value, version, TTL, lease, fence, mark, and the row beside it, as the database gives it now.
Exit status: 0, also where the two differ; 1 if no view has such a key.
`

export async function inspect(argv: string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    io.stdout.write(INSPECT_USAGE)
    return 0
  }
  const [key, ...rest] = positionals
  if (key === undefined || rest.length > 0)
    throw new TrackOpsError('USAGE', `inspect: expected one key, not ${positionals.length}.`)
  return await withConnections(io, async (connections) => {
    const inspection = await inspectKey(connections, key)
    io.stdout.write(values.json ? `${JSON.stringify(inspection, null, 2)}\n` : describeInspection(inspection))
    return 0
  })
}

/** For people. Names to the left, what there is to the right; absent things are told, too. */
export function describeInspection(inspection: Inspection): string {
  const { cached, lease, fence, answered, absent, row } = inspection
  const lines: [string, string][] = [
    ['key', inspection.key],
    ['view', `${inspection.view} (${inspection.kind})`],
    ['cached', cached.value === null ? STATES[cached.state] : JSON.stringify(cached.value)],
    ['version', cached.version ? describeVersion(cached.version) : 'none'],
    ...Object.entries(inspection.memberVersions ?? {}).map(([field, version]): [string, string] => [
      '  member',
      `${field}: ${version ? describeVersion(version) : 'no version'}`,
    ]),
    ['TTL', cached.ttlSeconds === null ? 'none' : `${cached.ttlSeconds} s`],
    [
      'lease',
      lease
        ? `held by ${lease.token}, ${milliseconds(lease.ttlMs)} left; changes that passed meanwhile: ${lease.passedXids.map((xid) => `xid ${xid}`).join(', ') || 'none'}`
        : 'none',
    ],
    [
      'fence',
      fence
        ? `at LSN ${fence.lsn}${fence.valueWasThere ? ', a value was there' : ''}: the warmer has not come by yet`
        : 'none',
    ],
    ['answered', answered ? `from the database as of LSN ${answered.lsn}, ${milliseconds(answered.ttlMs)} left` : 'no'],
    [
      'absent',
      absent
        ? `known not to exist (${absent.version ? describeVersion(absent.version) : 'no version'}), ${milliseconds(absent.ttlMs)} left`
        : 'no',
    ],
    ['row', row.value === null ? ROW_STATES[row.state] : JSON.stringify(row.value)],
    ['agrees', AGREEMENT[inspection.verdict] ?? `NO: ${inspection.verdict}`],
  ]
  return lines.map(([name, text]) => `${name.padEnd(9)} ${text}\n`).join('')
}

const STATES: Readonly<Record<Inspection['cached']['state'], string>> = {
  missing: 'nothing',
  absent: 'nothing; known not to exist',
  unreadable: 'something that TrackOps did not write',
  document: 'a document',
  members: 'a list',
}

const ROW_STATES: Readonly<Record<Inspection['row']['state'], string>> = {
  absent: 'none',
  failed: "the view's function threw",
  document: 'a document',
  members: 'no rows',
}

const AGREEMENT: Readonly<Record<string, string>> = {
  equal: 'yes',
  'not-cached': 'nothing is cached',
  'other-code': 'not compared: other code of the view made it, and readers take it for a miss',
  failed: "not comparable: the view's function threw",
}

function describeVersion(version: DescribedVersion): string {
  const from =
    version.madeFrom === 'change'
      ? `from the change at LSN ${version.lsn} (xid ${version.xid})`
      : `from a read of the database (snapshot ${version.snapshot})`
  return `${from}, code ${version.code}${version.isCurrentCode ? '' : ', which is NOT the current one'}`
}

function milliseconds(ms: number | null): string {
  return ms === null ? 'no TTL' : `${ms} ms`
}
