/** Where the servers of a test run keep their files, and who clears up after a test process that was killed. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Set by test/run.ts, which removes the whole folder, and stops what still runs in it, at the end. */
export const TEST_DIRECTORY_VARIABLE = 'TRACKOPS_TEST_DIRECTORY'

/** Where a Redis is that had to be unpacked: as with `trackops up`, so that it is fetched once. */
export const SOFTWARE_DIRECTORY = join(import.meta.dirname, '../../.trackops/software')

/** A folder that the servers' user can enter, too. The caller removes it. */
export function makeTestDirectory(kind: string): string {
  const base = process.env[TEST_DIRECTORY_VARIABLE] ?? tmpdir()
  const directory = mkdtempSync(join(base, `trackops-test-${kind}-`))
  mkdirSync(directory, { recursive: true })
  return directory
}

export function removeTestDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
}
