import { createWriteStream } from 'node:fs'

import { CONSUMERS } from '../consume/stream-consumer.ts'
import { createLogger, type Logger } from '../runtime/logger.ts'
import { assertNotInUse, openDataDirectory } from './embedded/data-directory.ts'
import { assertPortFree } from './embedded/local-port.ts'
import { type EmbeddedServers, startEmbedded } from './embedded/start-embedded.ts'
import { NO_LOG, type StartedLog, startLog } from './distributed/start-log.ts'
import { seedDatabase } from './seed.ts'
import { portOf } from './start-services.ts'
import { startSystem } from './system.ts'
import { aborted, tellReasons, untilReady } from './until-ready.ts'
import type { UpOptions } from './up-options.ts'

const SLOW_START_MS = 10_000

/** The whole system on this machine, until the signal: then everything that was started is stopped, in the reverse order. */
export async function up(options: UpOptions): Promise<void> {
  const { loaded, env, signal } = options
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
        await serve(log, options, { servers, changeLog, logFile: dataDirectory.logFile('trackops') })
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

interface Around {
  readonly servers: EmbeddedServers
  readonly changeLog: StartedLog
  readonly logFile: string
}

/** The system itself, until it ends or is to end. */
async function serve(log: Logger, options: UpOptions, { servers, changeLog, logFile }: Around): Promise<void> {
  const { loaded, env, host, signal, print, complain } = options
  const system = await startSystem(log, {
    mode: options.mode,
    kafka: changeLog.kafka,
    loaded,
    urls: servers.urls,
    env,
    host,
    consolePort: options.ports.console,
    consumers: CONSUMERS,
    services: (loaded.config.services ?? []).map(({ name }) => name),
    verifyRateKeysPerSecond: options.verifyRateKeysPerSecond,
    version: options.version,
    signal,
  })
  const told = new AbortController()
  const slow = setTimeout(() => complain(`not ready yet; ${logFile} says what it waits for`), SLOW_START_MS)
  try {
    // Its tables are there now.
    await changeLog.connect(servers.urls.source)
    const telling = tellReasons(system, complain, AbortSignal.any([signal, told.signal]))
    await untilReady(system, signal)
    clearTimeout(slow)
    if (!signal.aborted) {
      for (const { name, url } of [...servers.started, ...changeLog.started, ...system.endpoints])
        print(`${name.padEnd(18)} ${url}`)
      print('trackops is ready')
    }
    await Promise.race([system.ended, telling, aborted(signal)])
  } finally {
    clearTimeout(slow)
    told.abort()
    await system.close()
  }
}
