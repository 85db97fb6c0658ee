import { setTimeout as pause } from 'node:timers/promises'

import { TrackOpsError } from '../../runtime/errors.ts'
import type { ConnectApi, ConnectorStatus } from './connect-api.ts'
import type { ConnectorConfiguration } from './connector-configuration.ts'

export interface RegisterOptions {
  readonly signal?: AbortSignal
  /** Default 60,000. The task connects to the database and makes publication and slot before it runs. */
  readonly timeoutMs?: number
  /** Default 500. */
  readonly pollIntervalMs?: number
}

/** After a restart, Connect may tell the old failure for a moment: it keeps its states in a topic. */
const OLD_NEWS_MS = 5000

/**
 * Installs or changes the connector, and waits until it and its task run. The same again changes nothing; a task that had failed is
 * started anew.
 *
 * @throws TrackOpsError CONNECT_UNREACHABLE, CONNECT_REFUSED, CONNECTOR_FAILED, in words without the password
 */
export async function registerConnector(
  api: ConnectApi,
  { name, config }: ConnectorConfiguration,
  options: RegisterOptions = {},
): Promise<ConnectorStatus> {
  const { signal, timeoutMs = 60_000, pollIntervalMs = 500 } = options
  const password = config['database.password'] ?? ''
  try {
    const before = await api.status(name)
    await api.put(name, config)
    let restartedAt = 0
    if (before && isFailed(before)) {
      await api.restart(name)
      restartedAt = Date.now()
    }
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const status = await api.status(name)
      if (status && isRunning(status)) return status
      if (status && isFailed(status) && Date.now() > restartedAt + OLD_NEWS_MS)
        throw new TrackOpsError('CONNECTOR_FAILED', `connector ${name} was installed, and failed: ${failureOf(status)}`)
      if (status && /^(PAUSED|STOPPED)$/.test(status.state))
        throw new TrackOpsError(
          'CONNECTOR_FAILED',
          `connector ${name} was installed, but somebody has ${status.state.toLowerCase()} it: PUT ${api.url}/connectors/${name}/resume starts it.`,
        )
      if (Date.now() > deadline)
        throw new TrackOpsError(
          'CONNECTOR_FAILED',
          `connector ${name} was installed, but does not run after ${timeoutMs / 1000} s: ${describeStatus(status)}`,
        )
      await pause(pollIntervalMs, undefined, signal ? { signal } : {})
    }
  } catch (error) {
    // Connect's reasons quote values now and then.
    if (!(error instanceof TrackOpsError) || password.length < 3 || !error.message.includes(password)) throw error
    throw new TrackOpsError(error.code, error.message.replaceAll(password, '***'))
  }
}

export function isRunning({ state, tasks }: ConnectorStatus): boolean {
  return state === 'RUNNING' && tasks.length > 0 && tasks.every((task) => task.state === 'RUNNING')
}

function isFailed({ state, tasks }: ConnectorStatus): boolean {
  return state === 'FAILED' || tasks.some((task) => task.state === 'FAILED')
}

function failureOf({ reason, tasks }: ConnectorStatus): string {
  return reason ?? tasks.find((task) => task.reason !== null)?.reason ?? 'Kafka Connect gives no reason'
}

function describeStatus(status: ConnectorStatus | null): string {
  if (!status) return 'Kafka Connect does not know it yet'
  const tasks = status.tasks.map(({ id, state }) => `task ${id} ${state}`).join(', ') || 'no task yet'
  return `connector ${status.state}, ${tasks}`
}
