/** Copies of a PostgreSQL server's files: what pg_basebackup or a snapshot of the disk would give. */
import { execFile } from 'node:child_process'
import { chownSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import type { Sql } from 'postgres'

/** In place of what is there, of a server that does not run. Owners and modes stay, which Node's own copy does not keep. */
export async function copyFiles(from: string, to: string): Promise<void> {
  rmSync(to, { recursive: true, force: true })
  await promisify(execFile)('cp', ['-a', from, to])
}

/** Of a server that runs. Its slots come along, as with a snapshot of the disk. */
export async function copyRunning(sql: Sql, from: string, to: string): Promise<void> {
  // The backup is the session's.
  const session = await sql.reserve()
  try {
    await session`select pg_backup_start('test', fast => true)`
    await copyFiles(from, to)
    const [backup] = await session<
      { labelfile: string }[]
    >`select labelfile from pg_backup_stop(wait_for_archive => false)`
    // What was written while it was copied: the WAL to the backup's end belongs to it.
    await copyFiles(join(from, 'pg_wal'), join(to, 'pg_wal'))
    writeServerFile(to, 'backup_label', backup?.labelfile ?? '')
    rmSync(join(to, 'postmaster.pid'))
  } finally {
    session.release()
  }
}

/** The server must be able to take it away again, whoever we are. */
export function writeServerFile(directory: string, name: string, text = ''): void {
  const { uid, gid } = statSync(directory)
  writeFileSync(join(directory, name), text)
  chownSync(join(directory, name), uid, gid)
}
