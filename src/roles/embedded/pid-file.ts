/**
 * Servers that outlived us. When TrackOps is killed, its servers go on; the next start finds them by the process id that
 * was written down, makes sure that the process is the one meant (ids are given out again), and stops it properly.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** `more`: further lines, for whoever finds the server. */
export function writePidFile(file: string, pid: number, more: readonly string[] = []): void {
  writeFileSync(file, [pid, ...more, ''].join('\n'))
}

export function clearPidFile(file: string): void {
  rmSync(file, { force: true })
}

/** The first line of a pid file, where it is the id of a living process that works in `directory`. */
export function livingServer(file: string, directory: string): number | null {
  let pid: number
  let real: string
  try {
    pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
    real = realpathSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  if (!(pid > 1) || pid === process.pid) return null
  return workingDirectory(pid) === real ? pid : null
}

/** Does nothing where there is none. True if one was stopped. */
export async function stopOrphan(
  file: string,
  directory: string,
  signal: NodeJS.Signals,
  timeoutMs: number,
): Promise<boolean> {
  const pid = livingServer(file, directory)
  if (pid === null) return false
  send(pid, signal)
  const killAt = performance.now() + timeoutMs
  while (livingServer(file, directory) === pid) {
    if (performance.now() > killAt) send(pid, 'SIGKILL')
    await sleep(20)
  }
  return true
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * Both servers work in their data directory. (Their command lines would not do: Redis replaces its own by a title.) Null
 * where the process is gone, a zombie, or somebody else's.
 */
function workingDirectory(pid: number): string | null {
  try {
    if (existsSync('/proc/self/cwd')) return readlinkSync(`/proc/${pid}/cwd`)
    const fields = execFileSync('lsof', ['-a', '-p', String(pid), '-d', 'cwd', '-Fn'], { encoding: 'utf8' })
    return fields.match(/^n(.*)$/m)?.[1] ?? null
  } catch {
    return null
  }
}
