/**
 * As whom, and where, PostgreSQL runs when we are root: it refuses to run as root, so another user needs to reach both
 * its binaries and its data. As a plain user it is simply us, in place.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'

import { TrackOpsError } from '../../runtime/errors.ts'
import type { Account } from './server-process.ts'

const SYSTEM_USER = 'trackops'

/**
 * Undefined where we are not root. Else the owner of `clusterDirectory` if there is one; else `postgres`, `trackops` (made if
 * it can be), or `nobody`. It has to be a user with a name: initdb insists.
 */
export function serverAccount(clusterDirectory: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = ownerOf(clusterDirectory)
  if (owner !== undefined) return owner
  const found = lookUp('postgres') ?? lookUp(SYSTEM_USER)
  if (found !== undefined) return found
  spawnSync('useradd', ['--system', '--no-create-home', '--shell', '/bin/false', SYSTEM_USER], { stdio: 'ignore' })
  const made = lookUp(SYSTEM_USER) ?? lookUp('nobody')
  if (made !== undefined) return made
  throw new TrackOpsError(
    'CONFIG_INVALID',
    'PostgreSQL refuses to run as root, and this machine has no other user for it.',
  )
}

/** Whether the account may do `test <flag> <path>` (`-x` on a folder: enter it). Asked as that user: it knows best. */
export function canReach(path: string, flag: '-x' | '-r' | '-w', account: Account | undefined): boolean {
  const result = spawnSync('/bin/sh', ['-c', `test ${flag} "$0"`, path], { cwd: '/', stdio: 'ignore', ...account })
  return result.status === 0
}

function ownerOf(directory: string): Account | undefined {
  if (!existsSync(directory)) return undefined
  const { uid, gid } = statSync(directory)
  return uid === 0 ? undefined : { uid, gid }
}

function lookUp(name: string): Account | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}
