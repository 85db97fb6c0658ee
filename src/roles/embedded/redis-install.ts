/** Getting Redis from the system's package source: installed where we are root, else unpacked into a folder of ours. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { TrackOpsError } from '../../runtime/errors.ts'

const PACKAGE = 'redis-server'
/** Debian asks this program before it starts a service; 101 means no (invoke-rc.d(8)). */
const POLICY_FILE = '/usr/sbin/policy-rc.d'
const TIMEOUT_MS = 5 * 60_000

export async function installWithBrew(): Promise<void> {
  await run('brew', ['install', 'redis'], {})
}

/** The package would start a server on 6379 at once and with each boot; we want its binary only. */
export async function installWithApt(): Promise<void> {
  const isPolicyOurs = !existsSync(POLICY_FILE)
  if (isPolicyOurs) writeFileSync(POLICY_FILE, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const install = ['-y', '-qq', '-o', 'DPkg::Lock::Timeout=120', 'install', '--no-install-recommends', PACKAGE]
    const environment = { DEBIAN_FRONTEND: 'noninteractive' }
    await run('apt-get', install, environment).catch(async () => {
      // A fresh machine has no package lists yet.
      await run('apt-get', ['-qq', 'update'], environment)
      await run('apt-get', install, environment)
    })
  } finally {
    if (isPolicyOurs) rmSync(POLICY_FILE, { force: true })
  }
  if (existsSync('/run/systemd/system')) await run('systemctl', ['disable', PACKAGE], {}).catch(() => undefined)
}

/** Needs no rights: lists of our own where the machine has none, then the packages that are not installed, unpacked. */
export async function unpackWithApt(directory: string): Promise<void> {
  const lists = join(directory, 'apt')
  const packages = join(directory, 'packages')
  mkdirSync(join(lists, 'lists', 'partial'), { recursive: true })
  mkdirSync(join(lists, 'cache', 'archives', 'partial'), { recursive: true })
  mkdirSync(packages, { recursive: true })
  try {
    const own = ['-o', `Dir::State::Lists=${join(lists, 'lists')}`, '-o', `Dir::Cache=${join(lists, 'cache')}`]
    const noLock = ['-o', 'Debug::NoLocking=1']
    let options = noLock
    const names = await missingPackages(options).catch(async () => {
      options = [...noLock, ...own]
      await run('apt-get', [...options, '-qq', 'update'], {})
      return missingPackages(options)
    })
    await run('apt-get', [...options, '-qq', 'download', ...names], {}, packages)
    for (const file of readdirSync(packages)) await run('dpkg-deb', ['-x', join(packages, file), directory], {})
  } finally {
    rmSync(packages, { recursive: true, force: true })
    rmSync(lists, { recursive: true, force: true })
  }
}

/** Where the unpacked libraries are. */
export function unpackedEnvironment(directory: string): Readonly<Record<string, string>> {
  const folders = [join(directory, 'usr', 'lib'), join(directory, 'lib')].filter((folder) => existsSync(folder))
  const nested = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('-linux-gnu'))
      .map((name) => join(folder, name)),
  )
  return { LD_LIBRARY_PATH: [...nested, ...folders].join(':') }
}

/** What an installation would add, as apt's rehearsal says (`Inst <package> (...)`), and always the two with the binary. */
async function missingPackages(options: readonly string[]): Promise<string[]> {
  const output = await run('apt-get', [...options, '-s', 'install', '--no-install-recommends', PACKAGE], {})
  const names = [...output.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? PACKAGE)
  return [...new Set([PACKAGE, 'redis-tools', ...names])]
}

async function run(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  cwd = '/',
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, {
      cwd,
      env: { ...process.env, LC_ALL: 'C', ...environment },
      timeout: TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
    })
    return stdout
  } catch (error) {
    const said = ((error as { stderr?: string }).stderr ?? '').trim()
    const reason = said.split('\n').slice(-3).join(' | ') || 'it said nothing'
    throw new TrackOpsError('SERVER_MISSING', `Getting Redis failed (${command} ${args.at(-1)}): ${reason}`, {
      cause: error,
    })
  }
}
