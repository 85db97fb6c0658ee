/** Finds a Redis server on this machine, or gets one: npm has no package with its binaries. */
import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'

import { TrackOpsError } from '../../runtime/errors.ts'
import { findProgram, isExecutable } from './find-program.ts'
import { installWithApt, installWithBrew, unpackedEnvironment, unpackWithApt } from './redis-install.ts'

export interface LocatedRedis {
  readonly binary: string
  /** What the server needs in its environment, where its libraries were unpacked beside it. */
  readonly environment?: Readonly<Record<string, string>>
}

export interface RedisBinaryOptions {
  /** Where packages are unpacked when we may not install them. Kept over `--reset`. */
  readonly softwareDirectory: string
  /** Told in one line what is being done, before anything is downloaded or installed. */
  readonly say: (line: string) => void
  /** Default: PATH of the process. */
  readonly searchPath?: string | undefined
}

/** Where packages put them, for a PATH that lacks it. */
const USUAL_FOLDERS = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin']
const NAMES = ['redis-server', 'valkey-server']

/** Throws SERVER_MISSING with what somebody should do, and what was tried. */
export async function redisBinary(options: RedisBinaryOptions): Promise<LocatedRedis> {
  const searchPath = options.searchPath ?? process.env['PATH'] ?? ''
  const folders = searchPath.split(delimiter).filter((folder) => folder !== '')
  const binary = findIn(folders)
  if (binary !== null) return { binary }
  const unpacked = usableUnpacked(options.softwareDirectory)
  if (unpacked !== null) return unpacked

  if (process.platform === 'darwin' && findProgram(searchPath, 'brew') !== null) {
    options.say('Redis is missing: installing it with Homebrew (brew install redis) ...')
    await installWithBrew()
  } else if (findProgram(searchPath, 'apt-get') !== null && process.getuid?.() === 0) {
    options.say('Redis is missing: installing the package redis-server (apt-get), without starting its service ...')
    await installWithApt()
  } else if (findProgram(searchPath, 'apt-get') !== null) {
    options.say(`Redis is missing: unpacking the package redis-server below ${options.softwareDirectory} ...`)
    await unpackWithApt(options.softwareDirectory)
  }

  const installed = findIn([...folders, ...USUAL_FOLDERS])
  if (installed !== null) return { binary: installed }
  const unpackedNow = usableUnpacked(options.softwareDirectory)
  if (unpackedNow !== null) return unpackedNow
  const command = process.platform === 'darwin' ? 'brew install redis' : 'sudo apt-get install redis-server'
  throw new TrackOpsError('SERVER_MISSING', `There is no redis-server on this machine: ${command}, or set REDIS_URL.`)
}

function usableUnpacked(softwareDirectory: string): LocatedRedis | null {
  const binary = findIn([join(softwareDirectory, 'usr', 'bin')])
  if (binary === null) return null
  const environment = unpackedEnvironment(softwareDirectory)
  const run = spawnSync(binary, ['--version'], { env: { ...process.env, ...environment }, stdio: 'ignore' })
  return run.status === 0 ? { binary, environment } : null
}

function findIn(folders: readonly string[]): string | null {
  for (const name of NAMES) {
    const folder = folders.find((candidate) => isExecutable(join(candidate, name)))
    if (folder !== undefined) return join(folder, name)
  }
  return null
}
