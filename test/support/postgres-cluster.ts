/** Clusters for tests: no fsync, a random port. Knows nothing of node:test, so that test/run.ts can use it. */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'

import { removeCluster } from '../../src/roles/embedded/postgres-cluster.ts'
import { startPostgresServer } from '../../src/roles/embedded/postgres-server.ts'
import { TrackOpsError } from '../../src/runtime/errors.ts'
import { freePort } from './free-port.ts'
import { makeTestDirectory, removeTestDirectory } from './test-directory.ts'

/** Set by test/run.ts; a file that is run alone starts a server of its own, and stops it at its end. */
export const TEST_POSTGRES_VARIABLE = 'TRACKOPS_TEST_POSTGRES_URL'

export interface TestCluster {
  /** Of the database `postgres`. Stays the same over restarts. */
  readonly url: string
  readonly port: number
  /** Where its files are. */
  readonly directory: string
  /** Starts it where it was stopped or killed. */
  start(): Promise<void>
  stop(): Promise<void>
  /** SIGKILL, as a crash would. */
  kill(): Promise<void>
  /** Stops it and removes its files. */
  remove(): Promise<void>
}

const TEST_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '300',
  max_wal_senders: '50',
  max_replication_slots: '100',
  wal_sender_timeout: '60s',
}

/** `prepare` puts files into the directory that it is given, where the server is not to be one of initdb's making. */
export async function startTestCluster(
  settings: Readonly<Record<string, string>> = {},
  prepare: (directory: string) => Promise<void> = async () => undefined,
): Promise<TestCluster> {
  const dataDirectory = makeTestDirectory('postgres')
  chmodSync(dataDirectory, 0o755)
  const directory = join(dataDirectory, 'postgres')
  await prepare(directory)
  const options = {
    dataDirectory,
    logFile: join(dataDirectory, 'postgres.log'),
    settings: { ...TEST_SETTINGS, ...settings },
  }
  let { server, port } = await onFreePort(async (candidate) => ({
    server: await startPostgresServer({ ...options, port: candidate }),
    port: candidate,
  }))
  let isRunning = true
  const emergency = (): void => {
    if (isRunning) process.kill(server.pid, 'SIGKILL')
  }
  process.on('exit', emergency)

  return {
    url: server.url,
    port,
    directory,
    async start() {
      if (isRunning) return
      server = await startPostgresServer({ ...options, port })
      isRunning = true
    },
    async stop() {
      if (isRunning) await server.stop()
      isRunning = false
    },
    async kill() {
      if (isRunning) await server.kill()
      isRunning = false
    },
    async remove() {
      if (isRunning) await server.kill()
      isRunning = false
      process.off('exit', emergency)
      await removeCluster(dataDirectory)
      removeTestDirectory(dataDirectory)
    },
  }
}

/** Between asking for a free port and listening on it, another test can take it. */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort())
    } catch (error) {
      if (!(error instanceof TrackOpsError && error.code === 'PORT_TAKEN') || attempt === 5) throw error
    }
  }
}
