import { readFileSync } from 'node:fs'

/** What a process holds in memory now. 0 where there is no /proc, and when it has ended. */
export function residentMib(pid: number): number {
  try {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return match ? Math.round(Number(match[1]) / 1024) : 0
  } catch {
    return 0
  }
}
