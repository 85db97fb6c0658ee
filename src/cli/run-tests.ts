import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import type { CliIo } from './io.ts'

/** For `npm run cli test`: the launcher goes there directly. Tests are no part of what is shipped, so in another process. */
export async function runTests(argv: string[], io: CliIo): Promise<number> {
  const script = fileURLToPath(new URL('../../test/run.ts', import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, script, ...argv], { cwd: io.cwd, stdio: 'inherit' })
  io.signal.addEventListener('abort', () => child.kill('SIGTERM'))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (exitCode) => resolve(exitCode ?? 1))
  })
}
