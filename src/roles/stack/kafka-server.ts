/** One Kafka broker that is its own controller (KRaft), on loopback. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { TrackOpsError } from '../../runtime/errors.ts'
import { LOOPBACK } from '../embedded/local-port.ts'
import type { RunningServer } from '../embedded/server-process.ts'
import { javaArguments, type JavaServerOptions, type ListeningPort, startJavaServer } from './java-server.ts'
import { brokerProperties, type KafkaListener, type Properties, renderProperties } from './properties.ts'

export interface KafkaServerOptions extends JavaServerOptions {
  readonly port: number
  readonly controllerPort: number
  readonly listeners?: readonly KafkaListener[] | undefined
  /** Over ours; names as in server.properties. */
  readonly settings?: Properties | undefined
}

export async function startKafkaServer(options: KafkaServerOptions): Promise<RunningServer> {
  const { directory, port, controllerPort, listeners = [] } = options
  const dataDirectory = join(directory, 'data')
  const propertiesFile = join(directory, 'server.properties')
  const properties = (logDirectory: string): string =>
    renderProperties(
      brokerProperties({
        ports: { kafka: port, controller: controllerPort },
        dataDirectory: logDirectory,
        listeners,
        settings: options.settings ?? {},
      }),
    )
  mkdirSync(directory, { recursive: true })
  if (!existsSync(dataDirectory)) await format(options, dataDirectory, properties)
  // Settings may hold the password of a key store.
  writeFileSync(propertiesFile, properties(dataDirectory), { mode: 0o600 })
  return startJavaServer(
    {
      name: 'Kafka',
      mainClass: 'kafka.Kafka',
      args: [propertiesFile],
      url: `${LOOPBACK}:${port}`,
      port,
      listens: kafkaListens(port, controllerPort, listeners),
      isReady: () => isBrokerReady(port),
    },
    options,
  )
}

export function kafkaListens(
  port: number,
  controllerPort: number,
  listeners: readonly KafkaListener[] = [],
): readonly ListeningPort[] {
  return [
    { port, purpose: 'Kafka', variable: 'TRACKOPS_KAFKA_PORT' },
    { port: controllerPort, purpose: "Kafka's controller", variable: 'TRACKOPS_KAFKA_CONTROLLER_PORT' },
    ...listeners.map((each) => ({
      port: each.port,
      purpose: `Kafka's listener ${each.name}`,
      variable: 'its configuration',
    })),
  ]
}

/** Gives the cluster its id and first metadata. Beside its place, and moved there when done: one that was killed begins anew. */
async function format(
  options: KafkaServerOptions,
  dataDirectory: string,
  properties: (logDirectory: string) => string,
): Promise<void> {
  const fresh = `${dataDirectory}.new`
  const propertiesFile = `${fresh}.properties`
  rmSync(fresh, { recursive: true, force: true })
  writeFileSync(propertiesFile, properties(fresh), { mode: 0o600 })
  const args = ['kafka.tools.StorageTool', 'format', '--cluster-id', newClusterId(), '--config', propertiesFile]
  try {
    await promisify(execFile)(options.software.java, [...javaArguments(options.software), ...args], {
      cwd: options.directory,
      timeout: 60_000,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
  } catch (error) {
    options.signal?.throwIfAborted()
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    const said = `${stdout}${stderr}`.trim().split('\n').slice(-3).join(' | ') || 'it said nothing'
    throw new TrackOpsError('SERVER_MISSING', `Kafka's storage could not be set up: ${said}`, { cause: error })
  } finally {
    rmSync(propertiesFile, { force: true })
  }
  renameSync(fresh, dataDirectory)
}

/** Kafka's form of 16 random bytes; one that begins with a dash would be taken for an option. */
function newClusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}

/** Request `ApiVersions` version 0, with a correlation id and no client id. A broker that only binds does not answer it. */
const API_VERSIONS = Buffer.from('0000000a00120000000000010000', 'hex')
const CORRELATION_ID = 1

export function isBrokerReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: LOOPBACK, port })
    const finish = (isReady: boolean): void => {
      socket.destroy()
      resolve(isReady)
    }
    socket.setTimeout(2000, () => finish(false))
    socket.once('connect', () => socket.write(API_VERSIONS))
    // Length, correlation id, error code.
    socket.once('data', (data: Buffer) =>
      finish(data.length >= 10 && data.readInt32BE(4) === CORRELATION_ID && data.readInt16BE(8) === 0),
    )
    socket.once('error', () => finish(false))
    socket.once('close', () => finish(false))
  })
}
