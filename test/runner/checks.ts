/** What needs no service: types, lint, format. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'

interface Check {
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
}

const CHECKS: readonly Check[] = [
  { name: 'types', program: 'tsc', args: ['--noEmit'] },
  { name: 'lint', program: 'oxlint', args: ['--type-aware', '--deny-warnings'] },
  { name: 'format', program: 'oxfmt', args: ['--check'] },
]

/** What each failed check said; nothing where all is well. */
export async function runChecks(root: string): Promise<readonly string[]> {
  const results = await Promise.all(CHECKS.map((check) => runCheck(root, check)))
  return results.filter((result) => result !== null)
}

function runCheck(root: string, { name, program, args }: Check): Promise<string | null> {
  const command = join(root, 'node_modules', '.bin', program)
  return new Promise((resolve) => {
    const options = { cwd: root, maxBuffer: 64 * 1024 * 1024 }
    execFile(command, args, options, (error, stdout, stderr) => {
      resolve(
        error === null ? null : `${name} (${program} ${args.join(' ')}):\n${(stdout + stderr).trim() || error.message}`,
      )
    })
  })
}
