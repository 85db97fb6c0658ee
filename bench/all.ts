/**
 * Every benchmark, one after the other, into one document; docs/benchmarks.md from it; its ratios against those of the baseline.
 *
 *   npm run bench -- all [--quick] [--save-baseline]
 *
 * Exits with 1 when a ratio is a regression, a line for each. `--quick` shows in some two minutes that all of it works: its numbers are
 * compared with a quick baseline only, and published nowhere. Without Java and Maven the distributed mode is left out.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'

import { VERSION } from '../src/cli/version.ts'
import { connectRedis, createRedisClient } from '../src/roles/redis-client.ts'
import { createPostgresPool } from '../src/runtime/postgres.ts'
import { SILENT } from '../src/runtime/logger.ts'
import { startTestCluster } from '../test/support/postgres-cluster.ts'
import { testRedis } from '../test/support/redis.ts'
import { whyNoStack } from '../test/support/stack.ts'
import { versionsOf } from './beside/report.ts'
import { type Bench, inScope } from './measure.ts'
import { BASELINE_FILE, readBaseline, saveBaseline } from './report/baseline.ts'
import { benchmarksPage, PAGE } from './report/page.ts'
import { ratiosOf } from './report/ratios.ts'
import { FACTOR, notMeasured, regressions } from './report/regressions.ts'
import { type BenchResult, type Figures, type Size, storeResult } from './report/result.ts'
import { runPart } from './run-part.ts'

const ROOT = join(import.meta.dirname, '..')

type Parts = Readonly<Record<keyof Figures, string>>

const PARTS: Readonly<Record<Size, Parts>> = {
  full: {
    drain: 'drain --changes 200000 --rounds 3',
    latency: 'latency --seconds 8 --rounds 3',
    reads: 'reads --seconds 5 --rounds 3',
    memory: 'memory --rows 200000 --rounds 2',
    distributedLatency: 'latency --mode distributed --rates 100,1000 --seconds 8 --rounds 2',
    rivals: 'rivals --changes 30000 --rounds 2 --latency 0 --soak 0',
  },
  quick: {
    drain: 'drain --changes 20000 --rounds 1',
    latency: 'latency --seconds 2 --rounds 1',
    reads: 'reads --orders 200 --seconds 1 --rounds 1',
    memory: 'memory --rows 20000 --rounds 1',
    distributedLatency: 'latency --mode distributed --rates 100 --seconds 2 --rounds 1',
    rivals: 'rivals --changes 3000 --rounds 1 --latency 0 --soak 0',
  },
}
const OF_KAFKA: readonly string[] = ['distributedLatency', 'rivals'] satisfies (keyof Figures)[]

export const all: Bench = async ({ options, print }) => {
  const size: Size = options.has('quick') ? 'quick' : 'full'
  const startedMs = performance.now()
  const measuredAt = new Date().toISOString()
  const before = loadavg()
  const versions = await inScope(findVersions)
  const reason = await whyNoStack()
  if (reason) print(`the distributed mode is left out: ${reason}`)
  const parts = Object.entries(PARTS[size]).filter(([part]) => !reason || !OF_KAFKA.includes(part))
  const figures: Record<string, unknown> = {}
  for (const [part, command] of parts) figures[part] = await runPart(command.split(' '), print)

  const result: BenchResult = {
    measuredAt,
    size,
    seconds: Math.round((performance.now() - startedMs) / 1000),
    versions,
    load: { before, after: loadavg() },
    commands: Object.fromEntries(parts.map(([part, command]) => [part, `npm run bench -- ${command}`])),
    figures: figures as unknown as Figures,
  }
  const file = storeResult(result)
  if (size === 'full') writeFileSync(join(ROOT, PAGE), benchmarksPage(result))
  else print(benchmarksPage(result))
  print(`${file}${size === 'full' ? `, ${PAGE}; npm run bench -- readme writes the README's numbers` : ''}`)
  if (options.has('save-baseline')) {
    saveBaseline(size, { measuredAt, ratios: ratiosOf(result.figures) })
    print(`${BASELINE_FILE} has the ratios of this run`)
  } else compare(result, print)
  return { file, seconds: result.seconds }
}

function compare({ size, figures }: BenchResult, print: (line: string) => void): void {
  const baseline = readBaseline(size)
  if (!baseline) {
    print(`not compared: ${BASELINE_FILE} has no ${size} run; --save-baseline writes it`)
    return
  }
  const ratios = ratiosOf(figures)
  for (const name of notMeasured(baseline, ratios)) print(`not measured: ${name}`)
  const found = regressions(baseline, ratios)
  for (const line of found) console.error(`REGRESSION ${line}`)
  if (found.length > 0) process.exitCode = 1
  else print(`no ratio is more than ${FACTOR} times that of ${baseline.measuredAt}`)
}

async function findVersions(scope: Parameters<Parameters<typeof inScope>[0]>[0]): Promise<BenchResult['versions']> {
  const cluster = await startTestCluster()
  scope.after(() => cluster.remove())
  const sql = createPostgresPool(cluster.url, { applicationName: 'bench' })
  scope.after(() => sql.end({ timeout: 1 }))
  const redisServer = await testRedis(scope)
  const redis = createRedisClient(redisServer.url, { name: 'bench', log: SILENT })
  await connectRedis(redis, redisServer.url)
  scope.after(() => redis.destroy())
  const { load: _load, ...versions } = await versionsOf(sql, redis)
  return { ...versions, trackops: `${VERSION}${revision()}` }
}

/** ` at 462eb11`, with `-dirty` where files have changed since; nothing where this is no clone. */
function revision(): string {
  try {
    const text = execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return ` at ${text.toString().trim()}`
  } catch {
    return ''
  }
}
