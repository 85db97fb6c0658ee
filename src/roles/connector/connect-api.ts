/** The few calls of Kafka Connect's REST API that we need. Nothing that it answers is trusted to be free of secrets. */
import { TrackOpsError } from '../../runtime/errors.ts'

export interface RunningConnector {
  readonly name: string
  /** Without what may be a secret. */
  readonly config: Readonly<Record<string, string>>
  readonly status: ConnectorStatus
}

export interface ConnectorStatus {
  /** RUNNING, FAILED, PAUSED, STOPPED, UNASSIGNED, RESTARTING */
  readonly state: string
  /** The first line of its stack trace. */
  readonly reason: string | null
  readonly tasks: readonly { readonly id: number; readonly state: string; readonly reason: string | null }[]
}

export interface ConnectApi {
  /** For messages: without user and password. */
  readonly url: string
  list(): Promise<readonly RunningConnector[]>
  /** Null: there is none of this name. */
  status(name: string): Promise<ConnectorStatus | null>
  /** As it is, secrets included: to be compared, never to be shown. Null: there is none of this name. */
  config(name: string): Promise<Readonly<Record<string, unknown>> | null>
  put(name: string, config: Readonly<Record<string, string>>): Promise<void>
  restart(name: string): Promise<void>
}

const TIMEOUT_MS = 30_000
/** What Kafka Connect 4.3.0 answers where the connector's own look at the database fails, in place of the reason. */
const BROKEN_VALIDATION = 'ConfigInfo.configValue()'
const CANNOT_LOG_IN =
  'the connector cannot log in to the database with this host, port, user and password, as seen from the worker; its log has the reason'
const SECRET = /password|secret|sasl\.jaas|token|credential|\.key$/i

/** @throws TrackOpsError USAGE where it is no such URL */
export function connectApi(
  given: string,
  options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
): ConnectApi {
  if (!isConnectUrl(given))
    throw new TrackOpsError('USAGE', 'expected the URL of Kafka Connect, as in http://127.0.0.1:8083.')
  const url = new URL(given)
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' }
  if (url.username !== '') {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`
  }
  // fetch refuses a URL with a password in it
  url.username = url.password = url.search = url.hash = ''
  const base = url.href.replace(/\/+$/, '')

  async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const timeout = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS)
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
    let response: Response
    let text: string
    try {
      const content = body === undefined ? {} : { body: JSON.stringify(body) }
      response = await fetch(`${base}${path}`, { method, headers, signal, ...content })
      text = await response.text()
    } catch (error) {
      throw new TrackOpsError('CONNECT_UNREACHABLE', `cannot reach Kafka Connect at ${base}: ${causeOf(error)}`, {
        cause: error,
      })
    }
    let parsed: unknown
    try {
      parsed = text === '' ? null : JSON.parse(text)
    } catch {
      throw new TrackOpsError(
        'CONNECT_UNREACHABLE',
        `what answers at ${base} (${response.status}) is not Kafka Connect`,
      )
    }
    return { status: response.status, body: parsed }
  }

  function refuse(what: string, answer: { status: number; body: unknown }): never {
    const given = messageOf(answer.body) ?? 'no reason given'
    const said = given.includes(BROKEN_VALIDATION) ? CANNOT_LOG_IN : given
    throw new TrackOpsError('CONNECT_REFUSED', `Kafka Connect at ${base} ${what} (${answer.status}): ${said}`)
  }

  return {
    url: base,
    async list() {
      const answer = await call('GET', '/connectors?expand=info&expand=status')
      if (answer.status !== 200) refuse('does not list its connectors', answer)
      return Object.entries(recordOf(answer.body)).map(([name, both]) => {
        const { info, status } = recordOf(both)
        return { name, config: withoutSecrets(recordOf(recordOf(info)['config'])), status: statusOf(status) }
      })
    },
    async status(name) {
      const answer = await call('GET', `/connectors/${encodeURIComponent(name)}/status`)
      if (answer.status === 404) return null
      if (answer.status !== 200) refuse(`does not give the status of ${name}`, answer)
      return statusOf(answer.body)
    },
    async config(name) {
      const answer = await call('GET', `/connectors/${encodeURIComponent(name)}/config`)
      if (answer.status === 404) return null
      if (answer.status !== 200) refuse(`does not give the configuration of ${name}`, answer)
      return recordOf(answer.body)
    },
    async put(name, config) {
      const answer = await call('PUT', `/connectors/${encodeURIComponent(name)}/config`, config)
      if (answer.status !== 200 && answer.status !== 201) refuse(`refuses the connector ${name}`, answer)
    },
    async restart(name) {
      const path = `/connectors/${encodeURIComponent(name)}/restart?includeTasks=true&onlyFailed=true`
      const answer = await call('POST', path)
      if (answer.status >= 300) refuse(`does not restart ${name}`, answer)
    },
  }
}

export function isConnectUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

function statusOf(value: unknown): ConnectorStatus {
  const { connector, tasks } = recordOf(value)
  return {
    ...stateOf(connector),
    tasks: Array.isArray(tasks) ? tasks.map((task) => ({ id: Number(recordOf(task)['id']), ...stateOf(task) })) : [],
  }
}

function stateOf(value: unknown): { readonly state: string; readonly reason: string | null } {
  const { state, trace } = recordOf(value)
  return {
    state: typeof state === 'string' ? state : 'UNKNOWN',
    reason: typeof trace === 'string' ? reasonOf(trace) : null,
  }
}

/** The trace's first line; the innermost cause beside it where that says more, as with Debezium's wrapped errors. */
export function reasonOf(trace: string): string {
  const lines = trace.split('\n').map((line) => line.trim())
  const first = withoutClass(lines[0] ?? '')
  const last = withoutClass(
    (lines.findLast((line) => line.startsWith('Caused by: ')) ?? '').slice('Caused by: '.length),
  )
  return last === '' || first.includes(last) ? first : `${first}: ${last}`
}

function withoutClass(line: string): string {
  return line.replace(/^(?:[a-z][\w$]*\.)+[A-Z][\w$]*(?::\s*)?/, '') || line
}

function messageOf(body: unknown): string | undefined {
  const { message } = recordOf(body)
  return typeof message === 'string' ? message.replaceAll(/\s*\n\s*/g, ' ').trim() : undefined
}

function withoutSecrets(config: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(config).flatMap(([name, value]): [string, string][] =>
      SECRET.test(name) || typeof value !== 'string' ? [] : [[name, value]],
    ),
  )
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(cause instanceof Error)) return 'unknown reason'
  if (cause.name === 'TimeoutError') return 'no answer in time'
  return cause.message || ('code' in cause ? String(cause.code) : cause.name)
}
