/** `npm run soak`. */
import { clearUp } from '../runner/clear-up.ts'
import { makeTestDirectory, TEST_DIRECTORY_VARIABLE } from '../support/test-directory.ts'
import type { TestScope } from '../support/defer.ts'
import { runSoak } from './soak.ts'
import { parseSoakOptions, SOAK_USAGE } from './soak-options.ts'

process.exitCode = await main()

async function main(): Promise<number> {
  const options = parseSoakOptions(process.argv.slice(2))
  if (options === 'help') {
    process.stdout.write(SOAK_USAGE)
    return 0
  }
  if (options instanceof Error) {
    process.stderr.write(`soak: ${options.message}\n`)
    return 2
  }
  const directory = makeTestDirectory('soak')
  process.env[TEST_DIRECTORY_VARIABLE] = directory
  const cleanups: (() => unknown)[] = []
  const scope: TestScope = { after: (cleanup) => void cleanups.push(cleanup) }
  const say = (line: string): void => void process.stdout.write(`${line}\n`)
  say(`soak: ${options.mode}, seed ${options.seed}, ${options.seconds / 60} min`)
  try {
    const result = await runSoak(scope, { ...options, say, lineEverySeconds: 60 })
    if (result.failure !== null) say(`failed: ${result.failure}`)
    const isRight = result.failure === null && result.violations.length === 0
    say(
      `${isRight ? 'right' : 'WRONG'}: ${result.checkedReads} reads checked, ${result.violations.length} violations, ${result.faults} faults (seed ${options.seed})`,
    )
    return isRight ? 0 : 1
  } finally {
    for (const cleanup of cleanups) await cleanup()
    await clearUp(directory)
  }
}
