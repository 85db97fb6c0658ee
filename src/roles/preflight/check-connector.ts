import type { RunningConnector } from '../connector/connect-api.ts'
import type { ConnectorConfiguration } from '../connector/connector-configuration.ts'
import { judgeConverters, judgeLists, judgeTransforms } from './connector-records.ts'
import { PROPERTY_RULES } from './connector-rules.ts'
import type { Check, Finding } from './finding.ts'
import type { Requirement } from './requirements.ts'

export interface ConnectContext {
  readonly connectUrl: string
  /** Undefined: none was found. */
  readonly running: RunningConnector | undefined
  /** As trackops connector would make it. */
  readonly ours: ConnectorConfiguration
}

export interface ConnectorContext extends ConnectContext {
  readonly requirements: readonly Requirement[]
}

/** The connector that runs in Kafka Connect: there, running, and writing what the consumers can read without loss. */
export const checkConnector: Check<ConnectorContext> = {
  name: 'connector',
  async run({ connectUrl, running, ours, requirements }) {
    return running
      ? judgeConnector(running, ours, requirements, connectUrl)
      : [
          {
            id: 'connector-missing',
            severity: 'error',
            finding: `Kafka Connect at ${connectUrl} has no connector ${ours.name}, nor one with its slot or its topics`,
            consequence: 'No change reaches Kafka.',
            mend: register(connectUrl),
          },
        ]
  },
}

export const CONNECTOR_NOT_CHECKED: Finding = {
  id: 'connector-not-checked',
  severity: 'warning',
  finding: 'KAFKA_CONNECT_URL is not set: the connector was not looked at',
  consequence: 'Whether changes reach Kafka, and in a form that loses nothing, is not known.',
  mend: 'KAFKA_CONNECT_URL=http://host:8083 trackops preflight',
}

/** Ours by name; else one that somebody gave another name, but that reads the same slot or writes the same topics. */
export function chooseConnector(
  all: readonly RunningConnector[],
  ours: ConnectorConfiguration,
): RunningConnector | undefined {
  const shares = ({ config }: RunningConnector): boolean =>
    ['slot.name', 'topic.prefix'].some((property) => config[property] === ours.config[property])
  return all.find(({ name }) => name === ours.name) ?? all.find(shares)
}

/** Pure. */
export function judgeConnector(
  running: RunningConnector,
  ours: ConnectorConfiguration,
  requirements: readonly Requirement[],
  connectUrl: string,
): readonly Finding[] {
  const mend = register(connectUrl)
  const findings = [...judgeStatus(running, connectUrl)]
  for (const { id, property, default: fallback, judge } of PROPERTY_RULES) {
    const given = running.config[property]
    const wanted = ours.config[property] ?? fallback ?? ''
    const verdict = judge(given ?? fallback ?? '', wanted)
    if (!verdict) continue
    const isSet =
      given === undefined ? `does not set ${property}${fallback ? ` (${fallback})` : ''}` : `has ${property}=${given}`
    findings.push({
      id,
      severity: verdict.severity,
      finding: `connector ${running.name} ${isSet}`,
      consequence: verdict.consequence,
      mend: `${mend}, or set ${property}=${wanted}`,
    })
  }
  const name = running.name
  return [
    ...findings,
    ...judgeDatabase(running, ours, mend),
    ...judgeTransforms(name, running.config),
    ...judgeConverters(name, running.config, mend),
    ...judgeLists(name, running.config, requirements, mend),
  ]
}

function judgeStatus({ name, status }: RunningConnector, connectUrl: string): readonly Finding[] {
  const restart = `curl -X POST '${connectUrl}/connectors/${encodeURIComponent(name)}/restart?includeTasks=true&onlyFailed=true' once the cause is removed`
  const resume = `curl -X PUT ${connectUrl}/connectors/${encodeURIComponent(name)}/resume`
  const parts = [
    { what: `connector ${name}`, ...status },
    ...status.tasks.map((task) => ({ what: `task ${task.id} of connector ${name}`, ...task })),
  ]
  const findings = parts.flatMap(({ what, state, reason }): Finding[] => {
    if (state === 'RUNNING') return []
    const isPassing = state === 'UNASSIGNED' || state === 'RESTARTING'
    return [
      {
        id: state === 'FAILED' ? 'connector-failed' : 'connector-not-running',
        severity: isPassing ? 'warning' : 'error',
        finding: `${what} is ${state}${reason === null ? '' : `: ${reason}`}`,
        consequence: 'No change reaches Kafka while it is so: the cache grows old, and WAL is retained.',
        mend: state === 'FAILED' ? restart : isPassing ? 'Look again in a minute.' : resume,
      },
    ]
  })
  // Paused and stopped say why there is no task.
  return status.state === 'RUNNING' && status.tasks.length === 0
    ? [
        {
          id: 'connector-not-running',
          severity: 'error',
          finding: `connector ${name} has no task`,
          consequence: 'No change reaches Kafka.',
          mend: `Look again in a minute; then: ${restart}`,
        },
      ]
    : findings
}

function judgeDatabase(running: RunningConnector, ours: ConnectorConfiguration, mend: string): readonly Finding[] {
  const theirs = running.config['database.dbname']
  if (theirs === ours.config['database.dbname']) return []
  return [
    {
      id: 'connector-database',
      severity: 'error',
      finding: `connector ${running.name} follows the database ${theirs ?? '(none)'}, not ${ours.config['database.dbname']}`,
      consequence: 'The changes of the source database never arrive.',
      mend,
    },
  ]
}

function register(connectUrl: string): string {
  return `trackops connector --register ${connectUrl}`
}
