/** Ends and removes what tests left behind: those that were killed had no time for it. */
import { readdirSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { removeCluster } from '../../src/roles/embedded/postgres-cluster.ts'

/** Servers work in their data directory, so whatever works below `directory` is a test's. */
export async function clearUp(directory: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const left = processesBelow(directory)
    if (left.length === 0) break
    for (const pid of left) kill(pid)
    await sleep(20)
  }
  // When nobody changes files any more: a broker removes folders while they are walked.
  for (const dataDirectory of withClusterElsewhere(directory)) await removeCluster(dataDirectory)
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
}

/** Data directories whose cluster had to go where its user can reach it. */
function withClusterElsewhere(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isFile()) return entry.name === 'postgres.location' ? [directory] : []
    return entry.isDirectory() && entry.name !== 'base' ? withClusterElsewhere(join(directory, entry.name)) : []
  })
}

/** Only where /proc tells; elsewhere what is left is found by its orphan check when its data directory is used again. */
function processesBelow(directory: string): number[] {
  let names: string[] = []
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
  return names.flatMap((name) => {
    try {
      return `${readlinkSync(`/proc/${name}/cwd`)}/`.startsWith(`${directory}/`) ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone by itself.
  }
}
