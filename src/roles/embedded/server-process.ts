/**
 * A database server as a child process of ours: in a process group of its own, so that Ctrl-C reaches it only through
 * us, after everything that uses it has drained; output goes to a file, whose end is quoted when a start fails.
 */
import { spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs'

/** Who runs the server. None: the user that we are. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

export interface ServerCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly environment?: Readonly<Record<string, string>>
  readonly account?: Account | undefined
  readonly logFile: string
  /** It does not keep our process from ending, and goes on after it. */
  readonly outlivesUs?: boolean
}

export interface ServerExit {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ServerProcess {
  readonly pid: number
  readonly exited: Promise<ServerExit>
  /** Null while it runs. */
  exit(): ServerExit | null
  signal(name: NodeJS.Signals): void
  /** Asks with the given signal; where it has not gone in time, with the second one (SIGKILL), and kills it 6 s later. */
  stop(name: NodeJS.Signals, timeoutMs: number, second?: NodeJS.Signals): Promise<ServerExit>
  /** What it wrote since it was started, at most the last 20 lines. */
  lastLines(): string[]
}

/** What a caller has of a server that takes connections. */
export interface RunningServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly exited: Promise<ServerExit>
  /** Graceful; killed after 20 s. */
  stop(): Promise<void>
  /** At once, as a crash would. */
  kill(): Promise<void>
}

/** A log is kept as `.1` and begun anew when a server starts and finds more than this. */
const LOG_LIMIT_BYTES = 10 * 1024 * 1024
const KILL_AFTER_MS = 6000
const QUOTED_BYTES = 8 * 1024
const QUOTED_LINES = 20

export async function spawnServer(options: ServerCommand): Promise<ServerProcess> {
  rotate(options.logFile)
  const log = openSync(options.logFile, 'a', 0o644)
  const logStart = fstatSync(log).size
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    detached: true,
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC', HOME: options.cwd, ...options.environment },
    stdio: ['ignore', log, log],
    ...options.account,
  })
  closeSync(log)
  if (options.outlivesUs === true) child.unref()

  let exit: ServerExit | null = null
  const exited = new Promise<ServerExit>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      exit = { exitCode, signal }
      resolve(exit)
    })
  })
  const pid = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => resolve(child.pid ?? -1))
  })

  return {
    pid,
    exited,
    exit: () => exit,
    signal: (name) => void child.kill(name),
    async stop(name, timeoutMs, second = 'SIGKILL') {
      if (exit !== null) return exit
      child.kill(name)
      const timers = [
        setTimeout(() => child.kill(second), timeoutMs),
        setTimeout(() => child.kill('SIGKILL'), timeoutMs + KILL_AFTER_MS),
      ]
      const result = await exited
      for (const timer of timers) clearTimeout(timer)
      return result
    },
    lastLines: () => lastLines(options.logFile, logStart),
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function rotate(file: string): void {
  try {
    if (statSync(file).size > LOG_LIMIT_BYTES) renameSync(file, `${file}.1`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function lastLines(file: string, from: number): string[] {
  const descriptor = openSync(file, 'r')
  try {
    const { size } = fstatSync(descriptor)
    const start = Math.max(from, size - QUOTED_BYTES)
    const buffer = Buffer.alloc(Math.max(0, size - start))
    readSync(descriptor, buffer, 0, buffer.length, start)
    const lines = buffer.toString('utf8').split('\n')
    return lines.filter((line) => line.trim() !== '').slice(-QUOTED_LINES)
  } finally {
    closeSync(descriptor)
  }
}
