/** A stack that outlives the command that started it: `stack up` and `stack down`. */
import { mkdirSync } from 'node:fs'

import { pause } from '../../runtime/backoff.ts'
import { type DataDirectory, openDataDirectory } from '../embedded/data-directory.ts'
import { isWorkerReady } from './connect-server.ts'
import { type LivingServer, livingJavaServer, stopJavaServer } from './java-server.ts'
import { isBrokerReady } from './kafka-server.ts'
import {
  connectDirectory,
  isBusy,
  kafkaDirectory,
  type Stack,
  stackOf,
  type StackOptions,
  stackStarters,
} from './start-stack.ts'

export type KeptStack = Pick<Stack, 'brokers' | 'connectUrl' | 'endpoints'>

/** As long as a start may take that another process is busy with. */
const PATIENCE_MS = 3 * 60_000
const POLL_MS = 200

/** Does nothing where it runs already, and starts what is missing of it. Throws as startStack does. */
export async function keepStack(options: StackOptions): Promise<KeptStack> {
  const { directory } = options
  mkdirSync(directory, { recursive: true })
  const held = await lockUnlessRunning(options)
  if ('brokers' in held) return held
  const started: string[] = []
  try {
    const start = await stackStarters(options, held, true)
    const keep = async (folder: string, isReady: Ready, begin: () => Promise<{ port: number }>): Promise<number> => {
      const living = livingJavaServer(folder)
      if (living !== null && (await answersInTime(living, isReady, options.signal))) return living.port
      started.push(folder)
      return (await begin()).port
    }
    const kafkaPort = await keep(kafkaDirectory(directory), isBrokerReady, () => start.kafka())
    const connectPort = await keep(connectDirectory(directory), isConnectReady, () => start.connect())
    return stackOf(kafkaPort, connectPort)
  } catch (error) {
    for (const folder of started.toReversed()) await stopJavaServer(folder)
    throw error
  } finally {
    held.release()
  }
}

/** Also what was left by one that was killed. False where nothing ran. Throws DATA_DIRECTORY_BUSY where `trackops up` runs it. */
export async function stopKeptStack(directory: string): Promise<boolean> {
  const data = await openDataDirectory(directory)
  try {
    const didConnect = await stopJavaServer(connectDirectory(directory))
    const didKafka = await stopJavaServer(kafkaDirectory(directory))
    return didConnect || didKafka
  } finally {
    data.release()
  }
}

type Ready = (port: number) => Promise<boolean>

export function isConnectReady(port: number): Promise<boolean> {
  return isWorkerReady(`http://127.0.0.1:${port}`)
}

/** Another process may be about to start it: then ours is to see that it runs. */
async function lockUnlessRunning(options: StackOptions): Promise<DataDirectory | KeptStack> {
  const { directory, signal } = options
  const deadline = performance.now() + PATIENCE_MS
  let hasSaid = false
  for (;;) {
    const kafka = livingJavaServer(kafkaDirectory(directory))
    const connect = livingJavaServer(connectDirectory(directory))
    if (kafka !== null && connect !== null && (await isBrokerReady(kafka.port)) && (await isConnectReady(connect.port)))
      return stackOf(kafka.port, connect.port)
    try {
      return await openDataDirectory(directory)
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error
      if (!hasSaid) options.say(`another trackops is at work in ${directory}: waiting for it ...`)
      hasSaid = true
      if (!(await pause(POLL_MS, signal))) signal?.throwIfAborted()
    }
  }
}

/** False where it does not: it is stopped then, and started again. */
async function answersInTime(living: LivingServer, isReady: Ready, signal: AbortSignal | undefined): Promise<boolean> {
  const deadline = performance.now() + 30_000
  while (performance.now() < deadline) {
    if (await isReady(living.port)) return true
    if (!(await pause(POLL_MS, signal))) signal?.throwIfAborted()
  }
  return false
}
