import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'

import { TrackOpsError } from '../../runtime/errors.ts'
import type { ConnectApi, ConnectorStatus } from './connect-api.ts'
import type { ConnectorConfiguration } from './connector-configuration.ts'

export interface RegisterOptions {
  /**
   * Whether somebody reads the slot. Debezium tries some failures again by itself, without end, and Connect calls its task RUNNING all
   * the while; only the database knows better. Left out: Connect is believed.
   */
  readonly isSlotRead?: () => Promise<boolean>
  readonly signal?: AbortSignal
  /** Default 60,000. The task connects to the database and makes publication and slot before it runs. */
  readonly timeoutMs?: number
  /** Default 500. */
  readonly pollIntervalMs?: number
  /** Default 3000: for so long a changed connector must have been running, or failed, before it counts. */
  readonly settleMs?: number
}

/**
 * Installs or changes the connector, and waits until it and its task run. The same again changes nothing; a task that had failed is
 * started anew. Connect tells a task's old state until the changed one has begun, and some tasks fail only a moment after that: so a
 * state has to last.
 *
 * @throws TrackOpsError CONNECT_UNREACHABLE, CONNECT_REFUSED, CONNECTOR_FAILED, in words without the password
 */
export async function registerConnector(
  api: ConnectApi,
  configuration: ConnectorConfiguration,
  options: RegisterOptions = {},
): Promise<ConnectorStatus> {
  const password = configuration.config['database.password'] ?? ''
  try {
    return await install(api, configuration, options)
  } catch (error) {
    // Connect's reasons quote values now and then.
    if (!(error instanceof TrackOpsError) || password.length < 3 || !error.message.includes(password)) throw error
    throw new TrackOpsError(error.code, error.message.replaceAll(password, '***'))
  }
}

async function install(
  api: ConnectApi,
  { name, config }: ConnectorConfiguration,
  options: RegisterOptions,
): Promise<ConnectorStatus> {
  const before = await api.status(name)
  const isSame = isDeepStrictEqual({ ...(await api.config(name)) }, { ...config, name })
  const isRead = options.isSlotRead ?? (() => Promise.resolve(true))
  if (before && isSame && isRunning(before) && (await isRead())) return before
  if (!isSame) await api.put(name, config)
  if (before && isFailed(before)) await api.restart(name)
  return await untilSettled(api, name, isRead, options)
}

async function untilSettled(
  api: ConnectApi,
  name: string,
  isRead: () => Promise<boolean>,
  options: RegisterOptions,
): Promise<ConnectorStatus> {
  const { signal, timeoutMs = 60_000, pollIntervalMs = 500, settleMs = 3000 } = options
  const deadline = performance.now() + timeoutMs
  let since = performance.now()
  let last = ''
  for (;;) {
    const status = await api.status(name)
    const isHidden = status !== null && isRunning(status) && !(await isRead())
    const state = isHidden ? 'it says RUNNING, but nobody reads the slot' : describeStatus(status)
    if (state !== last) since = performance.now()
    last = state
    const isSettled = performance.now() - since >= settleMs
    if (status && isSettled) {
      if (isRunning(status) && !isHidden) return status
      if (isFailed(status)) throw notRunning(name, `it failed: ${failureOf(status)}`)
      if (/^(PAUSED|STOPPED)$/.test(status.state))
        throw notRunning(name, `it is ${status.state}: PUT ${api.url}/connectors/${name}/resume starts it`)
    }
    if (performance.now() > deadline)
      throw notRunning(
        name,
        `it does not run after ${timeoutMs / 1000} s: ${state}${isHidden ? "; the worker's log has the reason" : ''}`,
      )
    await pause(pollIntervalMs, undefined, signal ? { signal } : {})
  }
}

function notRunning(name: string, why: string): TrackOpsError {
  return new TrackOpsError('CONNECTOR_FAILED', `connector ${name} is installed, but ${why}.`)
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
