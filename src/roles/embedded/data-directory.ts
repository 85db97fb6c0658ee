/**
 * The folder in which one `up` keeps everything: `postgres/`, `redis/`, `logs/`, `software/` (what had to be unpacked). One process
 * at a time: the lock names a process and when it began, since process ids are given out again.
 */
import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

import { TrackOpsError } from '../../runtime/errors.ts'
import { removeCluster } from './postgres-cluster.ts'
import { stopRedisOrphan } from './redis-server.ts'

export interface DataDirectory {
  readonly path: string
  readonly redisDirectory: string
  readonly softwareDirectory: string
  /** `logFile('redis')` -> `<path>/logs/redis.log` */
  logFile(name: string): string
  /** Lets the next process in. Call it when every server is stopped. */
  release(): void
}

const LOCK = 'lock'

/**
 * Makes the folder where it is missing. `reset` removes what TrackOps put there, and nothing else: somebody may name a folder that
 * holds other things. Throws DATA_DIRECTORY_BUSY, CONFIG_INVALID (it cannot be made or written to).
 */
export async function openDataDirectory(
  path: string,
  options: { readonly reset?: boolean } = {},
): Promise<DataDirectory> {
  const directory = resolve(path)
  try {
    makeFolder(directory)
    acquire(directory)
  } catch (error) {
    throw unusable(directory, error)
  }
  const redisDirectory = join(directory, 'redis')
  const logs = join(directory, 'logs')
  try {
    if (options.reset === true) {
      await removeCluster(directory)
      await stopRedisOrphan(redisDirectory)
      for (const folder of [redisDirectory, logs]) rmSync(folder, { recursive: true, force: true })
    }
    mkdirSync(logs, { recursive: true })
  } catch (error) {
    rmSync(join(directory, LOCK), { force: true })
    throw error
  }
  return {
    path: directory,
    redisDirectory,
    softwareDirectory: join(directory, 'software'),
    logFile: (name) => join(logs, `${name}.log`),
    release: () => rmSync(join(directory, LOCK), { force: true }),
  }
}

/** Throws DATA_DIRECTORY_BUSY where another trackops runs with this folder. Nothing is made or changed. */
export function assertNotInUse(path: string): void {
  const directory = resolve(path)
  let holder: string | null
  try {
    holder = read(join(directory, LOCK))
  } catch {
    return // not a folder that could be used: opening it says why
  }
  if (holder !== null) refuseLiving(holder, directory)
}

/** Step by step: Node's own recursive mkdir never returns where the system answers ENOENT for a folder whose parent is there, as in /proc. */
function makeFolder(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true) return
  if (dirname(directory) !== directory) makeFolder(dirname(directory))
  mkdirSync(directory)
}

function unusable(directory: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code
  if (error instanceof TrackOpsError || code === undefined) return error
  return new TrackOpsError('CONFIG_INVALID', `The data directory ${directory} (--data) cannot be used: ${code}.`, {
    details: { directory },
    cause: error,
  })
}

function acquire(directory: string): void {
  const lock = join(directory, LOCK)
  const mine = `${lock}.${process.pid}`
  writeFileSync(mine, `${process.pid} ${startOf(process.pid)}\n`)
  try {
    for (;;) {
      try {
        // A link is made whole or not at all, and never over an existing one.
        linkSync(mine, lock)
        return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      dropStaleLock(lock, directory)
    }
  } finally {
    unlinkSync(mine)
  }
}

/** Throws where the holder lives. */
function dropStaleLock(lock: string, directory: string): void {
  const holder = read(lock)
  if (holder === null) return
  refuseLiving(holder, directory)
  const aside = `${lock}.stale.${process.pid}`
  try {
    renameSync(lock, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  // Somebody else may have taken over between our look and our rename: give it back.
  if (read(aside) !== holder) linkSync(aside, lock)
  unlinkSync(aside)
}

function refuseLiving(holder: string, directory: string): void {
  if (!isHolderAlive(holder)) return
  throw new TrackOpsError(
    'DATA_DIRECTORY_BUSY',
    `Process ${holder.split(' ')[0]} uses the data directory ${directory}.`,
    { details: { directory } },
  )
}

function isHolderAlive(holder: string): boolean {
  const [pid = '', start = ''] = holder.split(' ')
  const now = startOf(Number(pid))
  return now !== '' && now === start
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** When a process began, in whatever form its system says it; '' where there is no such process. */
function startOf(pid: number): string {
  if (!(pid > 0)) return ''
  try {
    if (process.platform === 'linux') {
      // Field 22, counted after the name, which may hold spaces and parentheses (proc_pid_stat(5)).
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .replaceAll(' ', '-')
  } catch {
    return ''
  }
}
