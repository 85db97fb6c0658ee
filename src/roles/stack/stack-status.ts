/** What of a stack runs, and what its connectors do. */
import { existsSync } from 'node:fs'

import { LOOPBACK } from '../embedded/local-port.ts'
import { isWorkerReady } from './connect-server.ts'
import { livingJavaServer } from './java-server.ts'
import { isBrokerReady } from './kafka-server.ts'
import { connectDirectory, kafkaDirectory } from './start-stack.ts'

export interface ServerStatus {
  readonly state: 'running' | 'does not answer' | 'stopped'
  readonly pid: number | null
  /** Null where it is stopped. */
  readonly url: string | null
}

export interface ConnectorStatus {
  readonly name: string
  readonly state: string
  readonly tasks: readonly { readonly id: number; readonly state: string; readonly error: string | null }[]
}

export interface StackStatus {
  /** Everything runs and answers, and no connector has failed. */
  readonly isRunning: boolean
  readonly directory: string
  readonly kafka: ServerStatus
  readonly connect: ServerStatus
  /** Null where Connect does not say. */
  readonly connectors: readonly ConnectorStatus[] | null
}

export async function stackStatus(directory: string): Promise<StackStatus> {
  const kafka = await serverStatus(kafkaDirectory(directory), (port) => [
    `${LOOPBACK}:${port}`,
    () => isBrokerReady(port),
  ])
  const connect = await serverStatus(connectDirectory(directory), (port) => {
    const url = `http://${LOOPBACK}:${port}`
    return [url, () => isWorkerReady(url)]
  })
  const connectors = connect.state === 'running' && connect.url !== null ? await connectorStatus(connect.url) : null
  const isRunning =
    kafka.state === 'running' && connect.state === 'running' && connectors !== null && !connectors.some(hasFailed)
  return { isRunning, directory, kafka, connect, connectors }
}

async function serverStatus(
  directory: string,
  server: (port: number) => readonly [url: string, isReady: () => Promise<boolean>],
): Promise<ServerStatus> {
  const living = existsSync(directory) ? livingJavaServer(directory) : null
  if (living === null) return { state: 'stopped', pid: null, url: null }
  const [url, isReady] = server(living.port)
  return { state: (await isReady()) ? 'running' : 'does not answer', pid: living.pid, url }
}

/** `GET /connectors?expand=status` of a worker; null where it does not answer. */
export async function connectorStatus(connectUrl: string): Promise<readonly ConnectorStatus[] | null> {
  try {
    const response = await fetch(`${connectUrl}/connectors?expand=status`, { signal: AbortSignal.timeout(10_000) })
    return response.ok ? parseConnectors(await response.json()) : null
  } catch {
    return null
  }
}

interface ReportedConnector {
  readonly status: {
    readonly name: string
    readonly connector: { readonly state: string }
    readonly tasks: readonly { readonly id: number; readonly state: string; readonly trace?: string }[]
  }
}

export function parseConnectors(reply: unknown): readonly ConnectorStatus[] {
  return Object.values(reply as Record<string, ReportedConnector>)
    .map(({ status }) => ({
      name: status.name,
      state: status.connector.state,
      tasks: status.tasks.map(({ id, state, trace }) => ({ id, state, error: errorOf(trace) })),
    }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** The innermost exception's class. Messages are left out: converters and drivers quote rows in them. */
function errorOf(trace: string | undefined): string | null {
  if (trace === undefined) return null
  const causes = [...trace.matchAll(/^(?:Caused by: )?([A-Za-z_$][\w$]*(?:\.[\w$]+)+)(?=[:\s]|$)/gm)]
  return causes.at(-1)?.[1] ?? 'unknown'
}

/** One that somebody paused or stopped is as it should be. */
export function hasFailed(connector: ConnectorStatus): boolean {
  return [connector, ...connector.tasks].some(({ state }) => state === 'FAILED' || state === 'UNASSIGNED')
}
