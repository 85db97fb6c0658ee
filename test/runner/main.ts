/** The work of a test run; started and watched by test/run.ts. Says little where all is well. */
import { join } from 'node:path'

import { redisBinary } from '../../src/roles/embedded/redis-binary.ts'
import { describeError } from '../../src/runtime/errors.ts'
import { startTestCluster, TEST_POSTGRES_VARIABLE } from '../support/postgres-cluster.ts'
import { SOFTWARE_DIRECTORY } from '../support/test-directory.ts'
import { runChecks } from './checks.ts'
import { findTestFiles } from './find-files.ts'
import { parseOptions, type RunOptions } from './options.ts'
import { runFiles, type RunResult } from './run-files.ts'

const ROOT = join(import.meta.dirname, '../..')
/** Two cores; tests that wait for servers leave time to others. */
const CONCURRENCY = 3
const TEST_TIMEOUT_MS = 3 * 60_000
const FILE_TIMEOUT_MS = 8 * 60_000
const FULL_TIMEOUT_MS = 60 * 60_000

const options = parseOptions(process.argv.slice(2))
if (typeof options === 'string') throw new Error(options)
try {
  process.exitCode = await main(options)
} catch (error) {
  print(`The tests could not be run: ${describeError(error)}`)
  process.exitCode = 1
}

async function main(run: RunOptions): Promise<number> {
  const startedAt = performance.now()
  const files = findTestFiles(ROOT, run)
  if (files.length === 0) {
    print(`No test file matches ${run.filters.join(' ')}.`)
    return 1
  }
  const isWhole = run.filters.length === 0
  const complaints = isWhole ? await runChecks(ROOT) : []
  if (isWhole && complaints.length === 0) print(`types, lint and format are right (${seconds(startedAt)} s)`)
  for (const complaint of complaints) print(`\n${complaint}\n`)

  const result = await withServers(() =>
    runFiles(files, {
      root: ROOT,
      concurrency: CONCURRENCY,
      testTimeoutMs: run.full ? FULL_TIMEOUT_MS : TEST_TIMEOUT_MS,
      fileTimeoutMs: run.full ? FULL_TIMEOUT_MS : FILE_TIMEOUT_MS,
    }),
  )
  for (const failure of result.failures) print(`\n${failure}`)
  // Many are skipped for one reason: no Java.
  for (const [reason, tests] of Map.groupBy(result.skipped, (test) => test.reason)) {
    print(`skipped, ${reason}`)
    for (const { name } of tests) print(`    ${name}`)
  }
  print(summary(result, files.length, seconds(startedAt)))
  if (complaints.length > 0) print('types, lint or format: see above')
  return complaints.length === 0 && result.failures.length === 0 && result.passed > 0 ? 0 : 1
}

/** One PostgreSQL for all files, and the certainty that there is a Redis before the first of them looks for it. */
async function withServers(work: () => Promise<RunResult>): Promise<RunResult> {
  await redisBinary({ softwareDirectory: SOFTWARE_DIRECTORY, say: print })
  const cluster = await startTestCluster()
  process.env[TEST_POSTGRES_VARIABLE] = cluster.url
  try {
    return await work()
  } finally {
    await cluster.remove()
  }
}

function summary({ passed, failures, skipped }: RunResult, files: number, tookSeconds: string): string {
  const failed = failures.length === 0 ? '' : ', THERE ARE FAILURES: see above'
  return `${files} files, ${passed} tests passed, ${skipped.length} skipped, ${tookSeconds} s${failed}`
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
