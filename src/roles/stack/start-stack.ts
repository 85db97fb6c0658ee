/** Kafka and Kafka Connect, supervised: they are started again where they die, and stopped with us. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { TrackOpsError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'
import { type DataDirectory, openDataDirectory } from '../embedded/data-directory.ts'
import { assertPortFree, LOOPBACK } from '../embedded/local-port.ts'
import type { RunningServer } from '../embedded/server-process.ts'
import { createSupervisor, type SupervisedServer } from '../embedded/supervisor.ts'
import { connectListens, startConnectServer } from './connect-server.ts'
import { livingJavaServer, stopJavaServer } from './java-server.ts'
import { kafkaListens, startKafkaServer } from './kafka-server.ts'
import type { KafkaListener, Properties, StackPorts } from './properties.ts'
import { stackSoftware } from './stack-software.ts'

export interface StackOptions {
  /** `kafka/`, `connect/` and `logs/` go below it: `stackDirectory(<data directory>)`. */
  readonly directory: string
  readonly ports: StackPorts
  readonly env: NodeJS.ProcessEnv
  readonly cacheDirectory?: string | undefined
  readonly say: (line: string) => void
  readonly signal?: AbortSignal | undefined
  readonly listeners?: readonly KafkaListener[] | undefined
  readonly kafkaSettings?: Properties | undefined
  readonly connectSettings?: Properties | undefined
}

export interface StackEndpoint {
  readonly name: string
  readonly url: string
}

export interface Stack {
  /** As clients want them: `127.0.0.1:9092`. */
  readonly brokers: readonly string[]
  readonly connectUrl: string
  readonly endpoints: readonly StackEndpoint[]
  /** Null where the stack was running before, and is not ours to watch. */
  readonly kafka: SupervisedServer | null
  readonly connect: SupervisedServer | null
  /** Connect first. What was running before goes on. */
  stop(): Promise<void>
}

/** Not the data directory itself: its lock is `trackops up`'s, which may run beside a stack that was started before. */
export function stackDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'stack')
}

export function kafkaDirectory(directory: string): string {
  return join(directory, 'kafka')
}

export function connectDirectory(directory: string): string {
  return join(directory, 'connect')
}

/**
 * Uses what `stack up` has started in the same directory, if it runs. Throws PORT_TAKEN, SERVER_MISSING, DATA_DIRECTORY_BUSY, TIMEOUT.
 */
export async function startStack(log: Logger, options: StackOptions): Promise<Stack> {
  const data = await openDataDirectory(options.directory)
  const running: SupervisedServer[] = []
  const stop = async (): Promise<void> => {
    for (const server of running.toReversed()) await server.stop()
    data.release()
  }
  try {
    const kept = keptStack(options.directory)
    if (kept !== null) {
      data.release()
      return { ...stackOf(kept.kafka, kept.connect), kafka: null, connect: null, stop: async () => undefined }
    }
    const start = await stackStarters(options, data)
    const kafka = await createSupervisor({ log, start: start.kafka }, { name: 'Kafka' })
    running.push(kafka)
    const connect = await createSupervisor({ log, start: start.connect }, { name: 'Kafka Connect' })
    running.push(connect)
    return { ...stackOf(kafka.port, connect.port), kafka, connect, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

export interface StackStarters {
  readonly kafka: (signal?: AbortSignal) => Promise<RunningServer>
  readonly connect: (signal?: AbortSignal) => Promise<RunningServer>
}

export async function stackStarters(
  options: StackOptions,
  data: Pick<DataDirectory, 'logFile'>,
  outlivesUs = false,
): Promise<StackStarters> {
  const { directory, ports } = options
  await assertPortsFree(options)
  const software = await stackSoftware(options)
  const common = (signal: AbortSignal | undefined) => {
    const signals = [signal, options.signal].filter((each) => each !== undefined)
    return { software, outlivesUs, signal: AbortSignal.any(signals) }
  }
  return {
    kafka: (signal) =>
      startKafkaServer({
        ...common(signal),
        directory: kafkaDirectory(directory),
        logFile: data.logFile('kafka'),
        port: ports.kafka,
        controllerPort: ports.controller,
        listeners: options.listeners,
        settings: options.kafkaSettings,
      }),
    connect: (signal) =>
      startConnectServer({
        ...common(signal),
        directory: connectDirectory(directory),
        logFile: data.logFile('connect'),
        port: ports.connect,
        kafkaPort: ports.kafka,
        settings: options.connectSettings,
      }),
  }
}

/** Before anything is fetched or started: a taken port is the most common reason not to. */
async function assertPortsFree({ directory, ports, listeners }: StackOptions): Promise<void> {
  const wanted = [
    ...(livingJavaServer(kafkaDirectory(directory)) === null
      ? kafkaListens(ports.kafka, ports.controller, listeners)
      : []),
    ...(livingJavaServer(connectDirectory(directory)) === null ? connectListens(ports.connect) : []),
  ]
  for (const { port, purpose, variable } of wanted) await assertPortFree(port, purpose, variable)
}

export function stackOf(kafkaPort: number, connectPort: number): Pick<Stack, 'brokers' | 'connectUrl' | 'endpoints'> {
  const broker = `${LOOPBACK}:${kafkaPort}`
  const connectUrl = `http://${LOOPBACK}:${connectPort}`
  return {
    brokers: [broker],
    connectUrl,
    endpoints: [
      { name: 'Kafka', url: broker },
      { name: 'Kafka Connect', url: connectUrl },
    ],
  }
}

/** The ports of a stack that outlived the command which started it, where both of it live. */
export function keptStack(directory: string): Pick<StackPorts, 'kafka' | 'connect'> | null {
  const kafka = livingJavaServer(kafkaDirectory(directory))
  const connect = livingJavaServer(connectDirectory(directory))
  return kafka?.isKept === true && connect?.isKept === true ? { kafka: kafka.port, connect: connect.port } : null
}

/** Ends what runs there, and removes its data. */
export async function resetStack(directory: string): Promise<void> {
  const data = await openDataDirectory(directory)
  try {
    await stopJavaServer(connectDirectory(directory))
    await stopJavaServer(kafkaDirectory(directory))
    for (const folder of ['kafka', 'connect', 'logs']) rmSync(join(directory, folder), { recursive: true, force: true })
  } finally {
    data.release()
  }
}

export function isBusy(error: unknown): boolean {
  return error instanceof TrackOpsError && error.code === 'DATA_DIRECTORY_BUSY'
}
