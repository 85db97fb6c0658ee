/** What benchmarks share: their options, and what a process has used. */
import type { TestScope } from '../test/support/defer.ts'

export type Bench = (context: BenchContext) => Promise<unknown>

export interface BenchContext {
  readonly options: BenchOptions
  /** Cleanup is run when the benchmark is over. */
  readonly scope: TestScope
  readonly print: (line: string) => void
}

export interface BenchOptions {
  number(name: string, fallback: number): number
}

/** User and system CPU of this process since its start. */
export function cpuSecondsOf(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

export function peakMemoryMb(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024)
}
