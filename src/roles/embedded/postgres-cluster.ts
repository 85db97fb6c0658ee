/** Where a cluster's files are, and their making: initdb, and the configuration that is written at each start. */
import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { TrackOpsError } from '../../runtime/errors.ts'
import { stopOrphan } from './pid-file.ts'
import { type PostgresBinaries, SYSTEM_DIRECTORY } from './postgres-binaries.ts'
import { canReach } from './server-account.ts'
import type { Account } from './server-process.ts'

const LOCATION_FILE = 'postgres.location'
const OWNER_FILE = 'owner'
export const POSTGRES_PID_FILE = 'postmaster.pid'

/** The built-in locale sorts by code point, the same on every machine. Any password will do: it listens on loopback only. */
const INITDB_ARGUMENTS: readonly string[] = [
  '--username=postgres',
  '--auth=trust',
  '--encoding=UTF8',
  '--locale=C',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--no-instructions',
]

/**
 * `<data>/postgres` where the server's user can get there; else a folder of the system, whose path and a token are
 * written to `<data>/postgres.location`. The token tells whether that folder belongs to this data directory or to an earlier
 * one at the same path that somebody deleted: the earlier one's rows must not come back.
 */
export async function locateCluster(dataDirectory: string, account: Account | undefined): Promise<string> {
  mkdirSync(dataDirectory, { recursive: true })
  const recorded = recordedLocation(dataDirectory)
  if (recorded !== null) return recorded
  const inPlace = join(dataDirectory, 'postgres')
  if (existsSync(inPlace) || account === undefined || canReach(dataDirectory, '-x', account)) return inPlace

  const id = createHash('sha256').update(realpathSync(dataDirectory)).digest('hex').slice(0, 16)
  const folder = join(SYSTEM_DIRECTORY, id)
  await removeFolder(folder)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const token = randomUUID()
  writeFileSync(join(folder, OWNER_FILE), `${token}\n${dataDirectory}\n`)
  writeFileSync(join(dataDirectory, LOCATION_FILE), `${folder}\n${token}\n`)
  return join(folder, 'postgres')
}

/** Removes a cluster wherever it is, and stops a server that still runs on it. */
export async function removeCluster(dataDirectory: string): Promise<void> {
  const recorded = recordedLocation(dataDirectory)
  if (recorded !== null) await removeFolder(join(recorded, '..'))
  await stopOrphan(
    join(dataDirectory, 'postgres', POSTGRES_PID_FILE),
    join(dataDirectory, 'postgres'),
    'SIGINT',
    20_000,
  )
  rmSync(join(dataDirectory, 'postgres'), { recursive: true, force: true })
  rmSync(join(dataDirectory, LOCATION_FILE), { force: true })
}

/** Makes the files where there are none. An initdb that was interrupted leaves nothing that looks finished. */
export async function ensureCluster(
  directory: string,
  binaries: PostgresBinaries,
  account: Account | undefined,
  options: { readonly isDurable: boolean },
): Promise<void> {
  if (existsSync(join(directory, 'PG_VERSION'))) return
  const unfinished = `${directory}.new`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  if (account !== undefined) chownSync(unfinished, account.uid, account.gid)
  const args = [`--pgdata=${unfinished}`, ...INITDB_ARGUMENTS, ...(options.isDurable ? [] : ['--no-sync'])]
  try {
    await promisify(execFile)(binaries.initdb, args, {
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
      ...account,
    })
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? error).trim()
    if (said.includes('could not look up effective user ID')) {
      const problem = `PostgreSQL insists on a user with a name, and user id ${process.getuid?.()} has none in /etc/passwd`
      throw new TrackOpsError('CONFIG_INVALID', `${problem}: run as another user, or give the URL of a running server.`)
    }
    throw new TrackOpsError('SERVER_MISSING', `PostgreSQL could not make its files: ${said.replaceAll('\n', ' | ')}`)
  }
  rmSync(directory, { recursive: true, force: true })
  renameSync(unfinished, directory)
}

/** `alter system` still wins over this file, so a setting that somebody makes by hand stays. */
export function writeConfiguration(directory: string, settings: Readonly<Record<string, string>>): void {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`)
  const header = '# Written by trackops at each start. Use "alter system" for settings of your own.'
  writeFileSync(join(directory, 'postgresql.conf'), [header, ...lines, ''].join('\n'))
}

async function removeFolder(folder: string): Promise<void> {
  if (!folder.startsWith(`${SYSTEM_DIRECTORY}/`)) return
  const cluster = join(folder, 'postgres')
  await stopOrphan(join(cluster, POSTGRES_PID_FILE), cluster, 'SIGINT', 20_000)
  rmSync(folder, { recursive: true, force: true })
}

function recordedLocation(dataDirectory: string): string | null {
  const file = join(dataDirectory, LOCATION_FILE)
  if (!existsSync(file)) return null
  const [folder, token] = readFileSync(file, 'utf8').split('\n')
  if (folder === undefined || !folder.startsWith(`${SYSTEM_DIRECTORY}/`)) return null
  const owner = join(folder, OWNER_FILE)
  if (!existsSync(owner) || readFileSync(owner, 'utf8').split('\n')[0] !== token) return null
  return join(folder, 'postgres')
}
