/** A server in Java as a process of ours: small, started fast, found again by its pid file. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { pause } from '../../runtime/backoff.ts'
import { TrackOpsError } from '../../runtime/errors.ts'
import { assertPortFree, portTaken } from '../embedded/local-port.ts'
import { clearPidFile, livingServer, stopOrphan, writePidFile } from '../embedded/pid-file.ts'
import { type RunningServer, type ServerProcess, spawnServer } from '../embedded/server-process.ts'
import type { StackSoftware } from './stack-software.ts'

/** Compiled quickly rather than well, one thread for garbage: the aim is a start in seconds on two cores. */
export const JAVA_OPTIONS: readonly string[] = [
  '-XX:TieredStopAtLevel=1',
  '-XX:+UseSerialGC',
  '-Xms64m',
  '-Xmx512m',
  '-Djava.awt.headless=true',
  // Java 17 takes it from the locale, and ours is C.
  '-Dfile.encoding=UTF-8',
]

export interface JavaServerOptions {
  readonly software: StackSoftware
  /** The server works in it; its pid file is there. */
  readonly directory: string
  readonly logFile: string
  /** It goes on when we end; `stack down` stops it. Otherwise a later start takes it for an orphan, and stops it. */
  readonly outlivesUs?: boolean
  readonly signal?: AbortSignal | undefined
  /** Default 120,000. */
  readonly startTimeoutMs?: number
}

export interface JavaProgram {
  /** For people: `Kafka`. */
  readonly name: string
  readonly mainClass: string
  readonly args: readonly string[]
  readonly url: string
  /** Of clients. */
  readonly port: number
  /** All that it listens on. */
  readonly listens: readonly ListeningPort[]
  readonly isReady: () => Promise<boolean>
}

export interface ListeningPort {
  readonly port: number
  /** As in "Kafka Connect". */
  readonly purpose: string
  /** What changes it. */
  readonly variable: string
}

export interface LivingServer {
  readonly pid: number
  readonly port: number
  readonly isKept: boolean
}

const PID_FILE = 'trackops.pid'
const KEPT = 'kept'
const STOP_TIMEOUT_MS = 20_000
const POLL_MS = 50

/** Resolves when it is ready. Throws PORT_TAKEN, TIMEOUT, or SERVER_MISSING with the server's own last words. */
export async function startJavaServer(program: JavaProgram, options: JavaServerOptions): Promise<RunningServer> {
  const { directory } = options
  mkdirSync(directory, { recursive: true })
  await stopJavaServer(directory)
  for (const { port, purpose, variable } of program.listens) await assertPortFree(port, purpose, variable)

  const server = await spawnServer({
    command: options.software.java,
    args: [...javaArguments(options.software), program.mainClass, ...program.args],
    cwd: directory,
    logFile: options.logFile,
    outlivesUs: options.outlivesUs ?? false,
  })
  const pidFile = join(directory, PID_FILE)
  writePidFile(pidFile, server.pid, [String(program.port), options.outlivesUs === true ? KEPT : 'supervised'])
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    await server.stop(signal, STOP_TIMEOUT_MS)
    clearPidFile(pidFile)
  }
  try {
    await untilReady(program, server, options)
  } catch (error) {
    await end('SIGTERM')
    throw error
  }
  return {
    url: program.url,
    port: program.port,
    pid: server.pid,
    exited: server.exited,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}

export function javaArguments(software: StackSoftware): string[] {
  return [...JAVA_OPTIONS, `-Dlog4j2.configurationFile=${software.logConfiguration}`, '-cp', join(software.kafka, '*')]
}

/** Null where none runs. */
export function livingJavaServer(directory: string): LivingServer | null {
  const file = join(directory, PID_FILE)
  const pid = livingServer(file, directory)
  if (pid === null) return null
  const [, port, kept] = readFileSync(file, 'utf8').split('\n')
  return { pid, port: Number(port), isKept: kept === KEPT }
}

/** False where none ran. The process is ours for certain: ids are given out again (pid-file.ts). */
export async function stopJavaServer(directory: string): Promise<boolean> {
  const file = join(directory, PID_FILE)
  const didRun = await stopOrphan(file, directory, 'SIGTERM', STOP_TIMEOUT_MS)
  clearPidFile(file)
  return didRun
}

async function untilReady(program: JavaProgram, server: ServerProcess, options: JavaServerOptions): Promise<void> {
  const timeoutMs = options.startTimeoutMs ?? 120_000
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (server.exit() !== null) throw failedStart(program, server)
    if (await program.isReady()) return
    if (performance.now() > deadline) {
      throw new TrackOpsError('TIMEOUT', `${program.name} (${program.url}) was not ready after ${timeoutMs} ms.`)
    }
    if (!(await pause(POLL_MS, options.signal))) options.signal?.throwIfAborted()
  }
}

function failedStart(program: JavaProgram, server: ServerProcess): TrackOpsError {
  const lines = server.lastLines()
  const isTaken = lines.some((line) => /Address already in use|Failed to bind/.test(line))
  const taken = program.listens.find(({ port }) => lines.some((line) => line.includes(String(port))))
  if (isTaken && taken !== undefined) return portTaken(taken.port, taken.purpose, taken.variable)
  const said = lines.filter((line) => !/^\s+at /.test(line))
  return new TrackOpsError(
    'SERVER_MISSING',
    `${program.name} did not start: ${said.slice(-5).join(' | ') || 'it said nothing'}`,
  )
}
