/** One Kafka Connect worker in distributed mode, with Debezium's PostgreSQL connector. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { LOOPBACK } from '../embedded/local-port.ts'
import type { RunningServer } from '../embedded/server-process.ts'
import { type JavaServerOptions, type ListeningPort, startJavaServer } from './java-server.ts'
import { type Properties, renderProperties, workerProperties } from './properties.ts'

export interface ConnectServerOptions extends JavaServerOptions {
  readonly port: number
  /** Of the broker on this machine. */
  readonly kafkaPort: number
  /** Over ours; names as in worker.properties. */
  readonly settings?: Properties | undefined
}

export async function startConnectServer(options: ConnectServerOptions): Promise<RunningServer> {
  const { directory, port, kafkaPort, software } = options
  const propertiesFile = join(directory, 'worker.properties')
  const properties = workerProperties({
    ports: { kafka: kafkaPort, connect: port },
    pluginDirectory: software.plugins,
    settings: options.settings ?? {},
  })
  mkdirSync(directory, { recursive: true })
  writeFileSync(propertiesFile, renderProperties(properties), { mode: 0o600 })
  const url = `http://${LOOPBACK}:${port}`
  return startJavaServer(
    {
      name: 'Kafka Connect',
      mainClass: 'org.apache.kafka.connect.cli.ConnectDistributed',
      args: [propertiesFile],
      url,
      port,
      listens: connectListens(port),
      isReady: () => isWorkerReady(url),
    },
    options,
  )
}

export function connectListens(port: number): readonly ListeningPort[] {
  return [{ port, purpose: 'Kafka Connect', variable: 'TRACKOPS_CONNECT_PORT' }]
}

/** Its REST interface answers long before it has read its topics and joined its group; `/health` waits for that (KIP-1017). */
export async function isWorkerReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
