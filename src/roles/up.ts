import { createWriteStream } from 'node:fs'

import { createLogger, type LogLevel } from '../runtime/logger.ts'
import type { Settings } from '../runtime/settings.ts'
import { pause } from '../runtime/backoff.ts'
import { assertNotInUse, openDataDirectory } from './embedded/data-directory.ts'
import { assertPortFree } from './embedded/local-port.ts'
import { startEmbedded } from './embedded/start-embedded.ts'
import type { LoadedConfig } from './load-config.ts'
import { NO_LOG, startLog } from './distributed/start-log.ts'
import type { KafkaConnection } from './kafka-clients.ts'
import { CONSUMERS } from './run-roles.ts'
import { seedDatabase } from './seed.ts'
import { portOf } from './start-services.ts'
import { startSystem, type System } from './system.ts'
import { aborted, untilReady } from './until-ready.ts'

export interface UpOptions {
  readonly mode: Settings['mode']
  /** Distributed mode: where the cluster is; undefined: a stack of our own. */
  readonly kafka: KafkaConnection | undefined
  readonly kafkaConnectUrl: string | undefined
  readonly captureDatabaseUrl: string | undefined
  readonly cacheDirectory: string | undefined
  readonly loaded: LoadedConfig
  readonly env: NodeJS.ProcessEnv
  readonly dataDirectory: string
  readonly isReset: boolean
  /** Sample rows to add before the start; 0 for none. */
  readonly seedCount: number
  readonly ports: {
    readonly postgres: number
    readonly redis: number
    readonly console: number
    readonly kafka: number
    readonly kafkaController: number
    readonly connect: number
  }
  readonly host: string
  readonly logLevel: LogLevel
  readonly version: string
  readonly print: (line: string) => void
  readonly complain: (line: string) => void
  readonly signal: AbortSignal
}

/** The whole system on this machine, until the signal: then everything that was started is stopped, in the reverse order. */
export async function up(options: UpOptions): Promise<void> {
  const { loaded, env, host, signal } = options
  const services = loaded.config.services ?? []
  // Before anything is started: these are the most common reasons not to. A second `up` is told that it is one, rather than that
  // another program has its ports.
  assertNotInUse(options.dataDirectory)
  await assertPortFree(options.ports.console, 'the console', 'TRACKOPS_CONSOLE_PORT')
  for (const { name, port } of services) await assertPortFree(portOf(env, port), name, port.variable)

  const dataDirectory = await openDataDirectory(options.dataDirectory, { reset: options.isReset })
  const logStream = createWriteStream(dataDirectory.logFile('trackops'), { flags: 'a' })
  const log = createLogger(options.logLevel, logStream)
  try {
    const servers = await startEmbedded(log, {
      loaded,
      dataDirectory,
      env,
      ports: options.ports,
      say: options.complain,
      signal,
    })
    try {
      if (options.seedCount > 0) await seedDatabase(loaded, servers.urls, options.seedCount)
      const changeLog = options.mode === 'distributed' ? await startLog(log, options, dataDirectory) : NO_LOG
      try {
        const system = await startSystem(log, {
          mode: options.mode,
          kafka: changeLog.kafka,
          loaded,
          urls: servers.urls,
          env,
          host,
          consolePort: options.ports.console,
          consumers: CONSUMERS,
          services: services.map(({ name }) => name),
          version: options.version,
          signal,
        })
        try {
          // Its tables are there now.
          await changeLog.connect(servers.urls.source)
          await untilReady(system, signal)
          if (!signal.aborted) {
            for (const { name, url } of [...servers.started, ...changeLog.started, ...system.endpoints])
              options.print(`${name.padEnd(18)} ${url}`)
            options.print('trackops is ready')
          }
          await Promise.race([system.ended, watch(system, options), aborted(signal)])
        } finally {
          await system.close()
        }
      } finally {
        await changeLog.stop()
      }
    } finally {
      await servers.stop()
    }
  } finally {
    dataDirectory.release()
    await new Promise<void>((resolve) => logStream.end(resolve))
  }
}

/** Tells people in one line when the system begins to wait for something, and when it goes on. */
async function watch(system: System, options: UpOptions): Promise<never> {
  let told: string | null = null
  for (;;) {
    await pause(1000, options.signal)
    if (options.signal.aborted) return await new Promise<never>(() => undefined)
    const reason = system.reason()
    if (reason === told) continue
    options.complain(reason ?? 'running again')
    told = reason
  }
}
