/**
 * Kafka and Kafka Connect for tests. `testStack()` is one that all tests of the run share, with `uniqueName`s; `ownStack(t)` is the
 * test's own, for tests that stop it, kill it or change its settings. Neither without this at the head of the file:
 *
 *     const skip = await whyNoStack()
 *     test('...', { skip }, async (t) => { ... })
 */
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after } from 'node:test'

import type { RunningServer } from '../../src/roles/embedded/server-process.ts'
import { startConnectServer } from '../../src/roles/stack/connect-server.ts'
import { keepStack, type KeptStack, stopKeptStack } from '../../src/roles/stack/keep-stack.ts'
import { startKafkaServer } from '../../src/roles/stack/kafka-server.ts'
import type { KafkaListener, Properties } from '../../src/roles/stack/properties.ts'
import { stackSoftware } from '../../src/roles/stack/stack-software.ts'
import { connectorStatus } from '../../src/roles/stack/stack-status.ts'
import { TrackOpsError } from '../../src/runtime/errors.ts'
import { defer, type TestScope } from './defer.ts'
import { freePort } from './free-port.ts'
import { onFreePort } from './postgres-cluster.ts'
import { makeTestDirectory, removeTestDirectory, TEST_DIRECTORY_VARIABLE } from './test-directory.ts'
import { waitFor } from './wait-for.ts'

/** Set to 1 where the tests have to run: what is missing fails them then. `.ci/run` does. */
export const REQUIRE_STACK_VARIABLE = 'TRACKOPS_REQUIRE_STACK'

export const STACK_SOFTWARE = {
  env: process.env,
  cacheDirectory: process.env['TRACKOPS_CACHE_DIR'],
  say: () => undefined,
}

export interface TestStack {
  readonly brokers: string[]
  readonly connectUrl: string
}

/** `skip` of node:test: false, or why Java or the jars are missing. Asked once a run: without a network Maven takes its time. */
export async function whyNoStack(): Promise<string | false> {
  if (process.env[REQUIRE_STACK_VARIABLE] === '1') return false
  const base = process.env[TEST_DIRECTORY_VARIABLE]
  const told = base === undefined ? undefined : join(base, 'no-stack')
  if (told !== undefined && existsSync(told)) return readFileSync(told, 'utf8')
  try {
    await stackSoftware(STACK_SOFTWARE)
    return false
  } catch (error) {
    if (!(error instanceof TrackOpsError && error.code === 'SERVER_MISSING')) throw error
    if (told !== undefined) writeFileSync(told, error.message)
    return error.message
  }
}

let lazily: Promise<KeptStack> | undefined
let ownDirectory: string | undefined

after(async () => {
  if (ownDirectory === undefined) return
  await stopKeptStack(ownDirectory)
  removeTestDirectory(ownDirectory)
})

/**
 * Started by the first test file that asks; ended with everything else below the run's folder, at its end. Other tests use
 * it at the same time: don't stop it, and take names from `uniqueName`.
 */
export async function testStack(): Promise<TestStack> {
  const base = process.env[TEST_DIRECTORY_VARIABLE]
  if (base === undefined) ownDirectory ??= makeTestDirectory('stack')
  const directory = ownDirectory ?? join(base ?? '', 'stack')
  lazily ??= onFreePort(async (kafka) =>
    keepStack({
      ...STACK_SOFTWARE,
      directory,
      ports: { kafka, controller: await freePort(), connect: await freePort() },
    }),
  )
  const { brokers, connectUrl } = await lazily
  return { brokers: [...brokers], connectUrl }
}

/** For topics, topic prefixes, groups, connectors and slots: `orders_3f9a01bc`. */
export function uniqueName(what: string): string {
  return `${what}_${randomBytes(4).toString('hex')}`
}

export interface OwnServer {
  /** -1 while it does not run. */
  pid(): number
  /** Starts it where it was stopped or killed, on the same port and data. */
  start(): Promise<void>
  stop(): Promise<void>
  /** SIGKILL, as a crash would. */
  kill(): Promise<void>
}

export interface OwnStack extends TestStack {
  readonly kafka: OwnServer
  readonly connect: OwnServer
}

export interface OwnStackOptions {
  readonly listeners?: readonly KafkaListener[]
  /** Some say where the broker listens, whose port is drawn when it starts. */
  readonly kafkaSettings?: Properties | ((port: number) => Properties)
  readonly connectSettings?: Properties
}

export async function ownStack(scope: TestScope, options: OwnStackOptions = {}): Promise<OwnStack> {
  const software = await stackSoftware(STACK_SOFTWARE)
  const directory = makeTestDirectory('stack')
  defer(scope, () => removeTestDirectory(directory))
  const { port, server: kafka } = await onFreePort(async (candidate) => {
    const controllerPort = await freePort()
    const start = () =>
      startKafkaServer({
        software,
        directory: join(directory, 'kafka'),
        logFile: join(directory, 'kafka.log'),
        port: candidate,
        controllerPort,
        listeners: options.listeners,
        settings:
          typeof options.kafkaSettings === 'function' ? options.kafkaSettings(candidate) : options.kafkaSettings,
      })
    return { port: candidate, server: await ownServer(scope, start) }
  })
  const { port: connectPort, server: connect } = await onFreePort(async (candidate) => {
    const start = () =>
      startConnectServer({
        software,
        directory: join(directory, 'connect'),
        logFile: join(directory, 'connect.log'),
        port: candidate,
        kafkaPort: port,
        settings: options.connectSettings,
      })
    return { port: candidate, server: await ownServer(scope, start) }
  })
  return { brokers: [`127.0.0.1:${port}`], connectUrl: `http://127.0.0.1:${connectPort}`, kafka, connect }
}

async function ownServer(scope: TestScope, begin: () => Promise<RunningServer>): Promise<OwnServer> {
  let running: RunningServer | null = await begin()
  const emergency = (): void => {
    if (running !== null) process.kill(running.pid, 'SIGKILL')
  }
  process.on('exit', emergency)
  const end = async (how: 'stop' | 'kill'): Promise<void> => {
    const ending = running
    running = null
    await ending?.[how]()
  }
  defer(scope, async () => {
    await end('kill')
    process.off('exit', emergency)
  })
  return {
    pid: () => running?.pid ?? -1,
    async start() {
      running ??= await begin()
    },
    stop: () => end('stop'),
    kill: () => end('kill'),
  }
}

/** Installs a connector, waits until its task runs, and removes it when the test is over (its slot stays with the database). */
export async function startConnector(
  scope: TestScope,
  connectUrl: string,
  name: string,
  config: Readonly<Record<string, string>>,
): Promise<void> {
  const response = await fetch(`${connectUrl}/connectors/${name}/config`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(config),
  })
  if (!response.ok) throw new Error(`Connect refused ${name}: ${response.status} ${await response.text()}`)
  defer(scope, async () => {
    await (await fetch(`${connectUrl}/connectors/${name}`, { method: 'DELETE' })).arrayBuffer()
  })
  await connectorRuns(connectUrl, name)
}

export async function connectorRuns(connectUrl: string, name: string): Promise<void> {
  await waitFor(() => connectorStatus(connectUrl).then((all) => all?.find((each) => each.name === name)), {
    what: `connector ${name} to run`,
    timeoutMs: 60_000,
    intervalMs: 100,
    until: ({ state, tasks }) =>
      state === 'RUNNING' && tasks.length > 0 && tasks.every((task) => task.state === 'RUNNING'),
  })
}
