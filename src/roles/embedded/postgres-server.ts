/** A real PostgreSQL of our own, on loopback, ready for logical replication. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { TrackOpsError } from '../../runtime/errors.ts'
import { assertPortFree, LOOPBACK, portTaken } from './local-port.ts'
import { livingServer, stopOrphan } from './pid-file.ts'
import { locatePostgresBinaries } from './postgres-binaries.ts'
import { ensureCluster, locateCluster, POSTGRES_PID_FILE, writeConfiguration } from './postgres-cluster.ts'
import { serverAccount } from './server-account.ts'
import { isAlive, type RunningServer, type ServerProcess, spawnServer } from './server-process.ts'

export interface PostgresServerOptions {
  /** TrackOps's data directory; the cluster goes below it, or where its user can reach it (postgres-cluster.ts). */
  readonly dataDirectory: string
  readonly logFile: string
  readonly port: number
  /** Over the defaults below. `fsync: 'off'` also makes the first start faster: for tests. */
  readonly settings?: Readonly<Record<string, string>>
  /** How long recovery may take. Default 300,000. */
  readonly startTimeoutMs?: number
  /** Ends a start that is under way: the server is stopped, and the start throws. */
  readonly signal?: AbortSignal
}

/**
 * Modest memory: it shares a laptop. A slot that nobody reads may keep 4 GB of WAL, then it is invalidated rather than the
 * disk filled; the capture makes it anew (SLOT_LOST).
 */
const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_connections: '200',
  max_wal_senders: '20',
  max_replication_slots: '20',
  max_slot_wal_keep_size: '4GB',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  datestyle: 'iso, mdy',
  log_checkpoints: 'off',
}

const STOP_TIMEOUT_MS = 20_000

/**
 * Resolves when it takes connections (`postgres://postgres:postgres@127.0.0.1:<port>/<database>`; any password will do).
 * Throws PORT_TAKEN, SERVER_MISSING with the server's own last words, or TIMEOUT.
 */
export async function startPostgresServer(options: PostgresServerOptions): Promise<RunningServer> {
  const { dataDirectory, port } = options
  const settings = { ...DEFAULT_SETTINGS, ...options.settings }
  mkdirSync(dataDirectory, { recursive: true })
  const account = serverAccount(join(dataDirectory, 'postgres'))
  const binaries = locatePostgresBinaries(account)
  const cluster = await locateCluster(dataDirectory, account)
  const pidFile = join(cluster, POSTGRES_PID_FILE)

  await stopOrphan(pidFile, cluster, 'SIGINT', STOP_TIMEOUT_MS)
  await assertPortFree(port, 'PostgreSQL', 'TRACKOPS_POSTGRES_PORT')
  await ensureCluster(cluster, binaries, account, { isDurable: settings['fsync'] !== 'off' })
  writeConfiguration(cluster, settings)

  const start = async (): Promise<ServerProcess> => {
    dropStrangersPidFile(pidFile, cluster)
    const server = await spawnServer({
      command: binaries.postgres,
      args: [
        ['-D', cluster],
        ['-c', `port=${port}`],
        ['-c', `listen_addresses=${LOOPBACK}`],
        ['-c', 'unix_socket_directories='],
      ].flat(),
      cwd: dirname(cluster),
      account,
      logFile: options.logFile,
    })
    try {
      await untilReady(server, pidFile, port, options.startTimeoutMs ?? 300_000, options.signal)
    } catch (error) {
      await server.stop('SIGINT', STOP_TIMEOUT_MS, 'SIGQUIT')
      throw error
    }
    return server
  }
  const server = await afterOldBackends(start)

  return {
    url: `postgres://postgres:postgres@${LOOPBACK}:${port}/postgres`,
    port,
    pid: server.pid,
    exited: server.exited,
    async stop() {
      // Fast shutdown waits for replication clients; immediate shutdown does not, and recovers at the next start.
      await server.stop('SIGINT', STOP_TIMEOUT_MS, 'SIGQUIT')
    },
    async kill() {
      await server.stop('SIGKILL', 0)
    },
  }
}

/** Process ids are given out again: a left-over file that names a living stranger would keep the server from starting. */
function dropStrangersPidFile(pidFile: string, cluster: string): void {
  const pid = Number.parseInt(readLines(pidFile)[0] ?? '', 10)
  if (pid > 0 && isAlive(pid) && livingServer(pidFile, cluster) === null) rmSync(pidFile, { force: true })
}

/** The backends of a server that was killed notice it and leave; until then a new one must not touch their memory. */
const OLD_BACKENDS = 'pre-existing shared memory block'
const OLD_BACKENDS_TIMEOUT_MS = 15_000

async function afterOldBackends(start: () => Promise<ServerProcess>): Promise<ServerProcess> {
  const deadline = performance.now() + OLD_BACKENDS_TIMEOUT_MS
  for (;;) {
    try {
      return await start()
    } catch (error) {
      if (!(error instanceof Error && error.message.includes(OLD_BACKENDS)) || performance.now() > deadline) throw error
    }
    await sleep(100)
  }
}

/** PostgreSQL says so itself, on the eighth line of its pid file: what `pg_ctl -w` waits for. */
async function untilReady(
  server: ServerProcess,
  pidFile: string,
  port: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (server.exit() !== null) throw failedStart(server, port)
    signal?.throwIfAborted()
    const lines = readLines(pidFile)
    if (lines[0]?.trim() === String(server.pid) && lines[7]?.trim() === 'ready') return
    if (performance.now() > deadline) {
      throw new TrackOpsError('TIMEOUT', `PostgreSQL on port ${port} was not ready after ${timeoutMs} ms.`)
    }
    await sleep(20)
  }
}

function failedStart(server: ServerProcess, port: number): TrackOpsError {
  const lines = server.lastLines()
  if (lines.some((line) => line.includes('Address already in use'))) {
    return portTaken(port, 'PostgreSQL', 'TRACKOPS_POSTGRES_PORT')
  }
  return new TrackOpsError('SERVER_MISSING', `PostgreSQL did not start: ${lines.join(' | ') || 'it said nothing'}`)
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
