/** What benchmarks share: their options, and what a process has used. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

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
  text(name: string, fallback: string): string
  /** `--quick`, without a value. */
  has(name: string): boolean
}

/** Runs the work, then what it has put off, the latest first: one round that leaves nothing to the next. */
export async function inScope<T>(work: (scope: TestScope) => Promise<T>): Promise<T> {
  const cleanups: (() => void | Promise<void>)[] = []
  try {
    return await work({ after: (cleanup) => void cleanups.push(cleanup) })
  } finally {
    for (const cleanup of cleanups.toReversed()) await cleanup()
  }
}

/** User and system CPU of this process since its start. */
export function cpuSecondsOf(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

export function peakMemoryMb(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024)
}

/** CPU of a process, of its children, and of those of them that have ended. NaN where there is no /proc. */
export function cpuSecondsOfFamily(pid: number): number {
  const TICKS_PER_SECOND = 100
  let ticks = 0
  for (const id of existsSync('/proc/self/stat') ? readdirSync('/proc') : []) {
    const stat = /^\d+$/.test(id) ? statOf(Number(id)) : undefined
    if (stat && (Number(id) === pid || stat.parent === pid)) ticks += stat.ticks
  }
  return ticks === 0 ? Number.NaN : ticks / TICKS_PER_SECOND
}

export function parentOf(pid: number): number {
  return statOf(pid)?.parent ?? -1
}

/** proc(5): fields from the third on, as the second is a name in parentheses, which may hold spaces. */
function statOf(pid: number): { readonly parent: number; readonly ticks: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [user, system, endedUser, endedSystem] = fields.slice(11, 15).map(Number)
    const ticks = (user ?? 0) + (system ?? 0) + (endedUser ?? 0) + (endedSystem ?? 0)
    return { parent: Number(fields[1]), ticks }
  } catch {
    return undefined // It has ended.
  }
}
