/**
 * What `npm test` and `./trackops test` run: types, lint, format, then every test. This process only watches: the work is in
 * a process group of its own (runner/main.ts), so that a run that hangs or is interrupted can be ended with all its children,
 * and what they left can be cleared up.
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { clearUp } from './runner/clear-up.ts'
import { parseOptions, USAGE } from './runner/options.ts'
import { TEST_DIRECTORY_VARIABLE } from './support/test-directory.ts'

/** CI demands that all of it takes less than 20 minutes on two cores, installing included. */
const LIMIT_MINUTES = 19
const FULL_LIMIT_MINUTES = 120
const GRACE_MS = 10_000

process.exitCode = await main(process.argv.slice(2))

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv)
  if (typeof options === 'string') {
    console.error(options)
    return 2
  }
  if (options.help) {
    console.log(USAGE)
    return 0
  }
  const directory = mkdtempSync(join(tmpdir(), 'trackops-tests-'))
  // The servers' user has to get in as well.
  chmodSync(directory, 0o755)
  try {
    return await watch(argv, directory, options.full ? FULL_LIMIT_MINUTES : LIMIT_MINUTES)
  } finally {
    await clearUp(directory)
  }
}

async function watch(argv: readonly string[], directory: string, limitMinutes: number): Promise<number> {
  const worker = spawn(
    process.execPath,
    [...process.execArgv, join(import.meta.dirname, 'runner', 'main.ts'), ...argv],
    {
      detached: true,
      env: { ...process.env, [TEST_DIRECTORY_VARIABLE]: directory },
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  const signalGroup = (name: NodeJS.Signals): void => {
    try {
      if (worker.pid !== undefined) process.kill(-worker.pid, name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  const exited = new Promise<number | null>((resolve, reject) => {
    worker.once('error', reject)
    worker.once('exit', resolve)
  })

  let interrupted: number | undefined
  let hardStop: NodeJS.Timeout | undefined
  const end = (status: number): void => {
    if (interrupted !== undefined) return signalGroup('SIGKILL')
    interrupted = status
    signalGroup('SIGTERM')
    hardStop = setTimeout(() => signalGroup('SIGKILL'), GRACE_MS)
  }
  const limit = setTimeout(() => {
    console.error(`The tests took more than ${limitMinutes} minutes and were ended.`)
    end(1)
  }, limitMinutes * 60_000)
  process.on('SIGINT', () => end(130))
  process.on('SIGTERM', () => end(143))

  const exitCode = await exited
  clearTimeout(limit)
  clearTimeout(hardStop)
  signalGroup('SIGKILL')
  return interrupted ?? exitCode ?? 1
}
