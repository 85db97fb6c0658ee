/** A Redis (or Valkey) of our own: append-only file, no eviction, loopback only. */
import { mkdirSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { TrackOpsError } from '../../runtime/errors.ts'
import { assertPortFree, LOOPBACK, portTaken } from './local-port.ts'
import { clearPidFile, stopOrphan, writePidFile } from './pid-file.ts'
import { type RunningServer, type ServerProcess, spawnServer } from './server-process.ts'

export interface RedisServerOptions {
  /** Absolute path of `redis-server` or `valkey-server`. */
  readonly binary: string
  /** Further environment of the server, as LD_LIBRARY_PATH where its libraries were unpacked beside it. */
  readonly environment?: Readonly<Record<string, string>>
  /** Holds the append-only file; made if missing. */
  readonly directory: string
  readonly logFile: string
  readonly port: number
  /** Over the defaults below; names as in redis.conf. */
  readonly settings?: Readonly<Record<string, string>>
  /** How long it may load its data. Default 120,000. */
  readonly startTimeoutMs?: number
  /** Ends a start that is under way: the server is stopped, and the start throws. */
  readonly signal?: AbortSignal
}

/**
 * `noeviction`: an evicted fence would let an old value back in; a full Redis has to say so. `everysec`: what the last
 * second loses is found by the consumers' positions, which are written in the same call as the data.
 */
const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  appendonly: 'yes',
  appendfsync: 'everysec',
  save: '',
  'maxmemory-policy': 'noeviction',
  databases: '16',
}

const STOP_TIMEOUT_MS = 20_000
const PID_FILE = 'trackops-redis.pid'

/** Resolves when it answers. Throws PORT_TAKEN, or SERVER_MISSING with the server's own last words. */
export async function startRedisServer(options: RedisServerOptions): Promise<RunningServer> {
  const { directory, port } = options
  mkdirSync(directory, { recursive: true })
  const pidFile = join(directory, PID_FILE)
  await stopRedisOrphan(directory)
  await assertPortFree(port, 'Redis', 'TRACKOPS_REDIS_PORT')

  const settings = {
    ...DEFAULT_SETTINGS,
    ...options.settings,
    dir: directory,
    bind: LOOPBACK,
    port: String(port),
    daemonize: 'no',
  }
  const server = await spawnServer({
    command: options.binary,
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    cwd: directory,
    ...(options.environment === undefined ? {} : { environment: options.environment }),
    logFile: options.logFile,
  })
  writePidFile(pidFile, server.pid)
  try {
    await untilReady(server, port, options.startTimeoutMs ?? 120_000, options.signal)
  } catch (error) {
    await server.stop('SIGTERM', STOP_TIMEOUT_MS)
    clearPidFile(pidFile)
    throw error
  }

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    await server.stop(signal, STOP_TIMEOUT_MS)
    clearPidFile(pidFile)
  }
  return {
    url: `redis://${LOOPBACK}:${port}`,
    port,
    pid: server.pid,
    exited: server.exited,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}

/** Stops the server that an earlier process of ours left running on this directory, if there is one. */
export async function stopRedisOrphan(directory: string): Promise<void> {
  await stopOrphan(join(directory, PID_FILE), directory, 'SIGTERM', STOP_TIMEOUT_MS)
}

async function untilReady(
  server: ServerProcess,
  port: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (server.exit() !== null) throw failedStart(server, port)
    signal?.throwIfAborted()
    const reply = await ping(port)
    if (reply.startsWith('+PONG')) return
    if (performance.now() > deadline) {
      throw new TrackOpsError('TIMEOUT', `Redis on port ${port} was not ready after ${timeoutMs} ms: ${reply.trim()}`)
    }
    await sleep(10)
  }
}

function failedStart(server: ServerProcess, port: number): TrackOpsError {
  const lines = server.lastLines()
  if (lines.some((line) => line.includes('Address already in use'))) {
    return portTaken(port, 'Redis', 'TRACKOPS_REDIS_PORT')
  }
  return new TrackOpsError('SERVER_MISSING', `Redis did not start: ${lines.join(' | ') || 'it said nothing'}`)
}

/** The first line that comes back, or '' where nobody answers. Without a client: it must not log, retry or queue. */
function ping(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: LOOPBACK, port })
    const finish = (reply: string): void => {
      socket.destroy()
      resolve(reply)
    }
    socket.setTimeout(1000, () => finish(''))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data: Buffer) => finish(data.toString('latin1')))
    socket.once('error', () => finish(''))
    socket.once('close', () => finish(''))
  })
}
