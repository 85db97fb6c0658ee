/** What one run of all benchmarks has measured: one JSON document, from which every published number comes. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Report } from '../beside/report.ts'
import type { DrainFigures } from '../drain.ts'
import type { LatencyFigures } from '../latency.ts'
import type { MemoryFigures } from '../memory.ts'
import type { ReadsFigures } from '../reads.ts'

export interface BenchResult {
  /** UTC, ISO 8601. */
  readonly measuredAt: string
  readonly size: Size
  readonly seconds: number
  /** Of the machine and of what ran on it. */
  readonly versions: Readonly<Record<string, string>>
  /** Over 1, 5 and 15 minutes. */
  readonly load: { readonly before: readonly number[]; readonly after: readonly number[] }
  /** By part, as on the command line. */
  readonly commands: Readonly<Record<string, string>>
  readonly figures: Figures
}

export type Size = 'full' | 'quick'

/** Those of the distributed mode only where Java and Maven are. */
export interface Figures {
  readonly drain: DrainFigures
  readonly latency: LatencyFigures
  readonly reads: ReadsFigures
  readonly memory: MemoryFigures
  readonly distributedLatency?: LatencyFigures
  readonly rivals?: Pick<Report, 'drained' | 'latency' | 'staleness'>
}

const ROOT = join(import.meta.dirname, '../..')
export const RESULTS_FOLDER = 'bench/results'
const PUBLISHED = /^\d{4}-\d\d-\d\dT\d\d-\d\d\.json$/
/** Shows that all works; no number of it is published. */
const QUICK_FILE = 'quick.json'

/** From the repository's root. */
export function resultFile({ measuredAt, size }: Pick<BenchResult, 'measuredAt' | 'size'>): string {
  return `${RESULTS_FOLDER}/${size === 'quick' ? QUICK_FILE : `${measuredAt.slice(0, 16).replace(':', '-')}.json`}`
}

export function storeResult(result: BenchResult): string {
  const file = resultFile(result)
  mkdirSync(join(ROOT, RESULTS_FOLDER), { recursive: true })
  writeFileSync(join(ROOT, file), `${JSON.stringify(result, null, 2)}\n`)
  return file
}

/** undefined before the first full run. */
export function newestResult(): BenchResult | undefined {
  const folder = join(ROOT, RESULTS_FOLDER)
  const name = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((each) => PUBLISHED.test(each))
    .toSorted()
    .at(-1)
  return name === undefined ? undefined : (JSON.parse(readFileSync(join(folder, name), 'utf8')) as BenchResult)
}
