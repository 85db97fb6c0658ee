/**
 * Schema changes as numbered SQL files (`0001-orders.sql`), each run once, in order, in one transaction with the note that it ran.
 * Several processes may start at once: an advisory lock lets one of them work, and the others find it done.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Sql } from 'postgres'

import { TrackOpsError } from './errors.ts'

export interface MigrationOptions {
  /** Folder with the files; others than `NNNN-name.sql` are an error, so that a slip is noticed. */
  readonly directory: string
  /** Where it is noted what ran, `schema.table` or `table`; made if missing, schema too. */
  readonly table: string
}

export interface MigrationResult {
  /** Names of the files that this call ran. */
  readonly applied: readonly string[]
}

interface Migration {
  readonly name: string
  readonly text: string
  readonly checksum: string
}

interface AppliedMigration {
  readonly name: string
  readonly checksum: string
}

const FILE_NAME = /^\d{4}-[a-z0-9-]+\.sql$/

/**
 * Throws MIGRATION where a file that ran was changed, removed, or has one before it that did not run; the database is newer
 * than the files then, or somebody rewrote history. Nothing is run in that case. The same where a file fails; those before it stay.
 */
export async function runMigrations(sql: Sql, options: MigrationOptions): Promise<MigrationResult> {
  const files = readMigrations(options.directory)
  const table = quoteTable(options.table)
  const connection = await sql.reserve()
  try {
    // A session's lock, since each file is a transaction of its own. The table's name tells different sets apart.
    await connection`select pg_advisory_lock(hashtextextended(${`trackops migrations ${options.table}`}, 0))`
    await connection.unsafe(table.ddl)
    const rows = await connection.unsafe<{ name: string; checksum: string }[]>(
      `select name, checksum from ${table.name} order by name`,
    )
    const pending = pendingMigrations(files, rows)
    for (const migration of pending) await applyOne(connection, table.name, migration)
    return { applied: pending.map(({ name }) => name) }
  } finally {
    await connection`select pg_advisory_unlock_all()`.catch(() => undefined)
    connection.release()
  }
}

/** What is left to run. Pure: files and what the database noted, both in order. Throws as `runMigrations` says. */
export function pendingMigrations<F extends AppliedMigration>(
  files: readonly F[],
  applied: readonly AppliedMigration[],
): readonly F[] {
  for (const [index, done] of applied.entries()) {
    const file = files[index]
    if (file === undefined || file.name > done.name) {
      throw invalid(`Migration ${done.name} ran on this database, but its file is not there: is this an older version?`)
    }
    if (file.name < done.name) {
      throw invalid(`Migration ${file.name} comes before ${done.name}, which has run: give it a later number.`)
    }
    if (file.checksum !== done.checksum) {
      throw invalid(`Migration ${done.name} was changed after it ran: undo that, and write a new file instead.`)
    }
  }
  return files.slice(applied.length)
}

/**
 * `synchronous_commit = local`: a schema change does not wait for a standby that may itself wait for us. A file with a statement
 * that refuses a transaction fails as a whole, and says so.
 */
async function applyOne(connection: Sql, table: string, migration: Migration): Promise<void> {
  try {
    await connection.unsafe('begin; set local synchronous_commit = local')
    await connection.unsafe(migration.text)
    await connection.unsafe(`insert into ${table} (name, checksum) values ($1, $2)`, [
      migration.name,
      migration.checksum,
    ])
    await connection.unsafe('commit')
  } catch (error) {
    await connection.unsafe('rollback').catch(() => undefined)
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new TrackOpsError('MIGRATION', `Migration ${migration.name} failed and was undone: ${reason}`, {
      cause: error,
      details: { migration: migration.name },
    })
  }
}

function readMigrations(directory: string): Migration[] {
  const names = readdirSync(directory).toSorted()
  const numbers = new Set<string>()
  return names.map((name) => {
    const number = name.slice(0, 4)
    if (!FILE_NAME.test(name)) throw invalid(`${join(directory, name)} is no migration: they are called 0001-name.sql.`)
    if (numbers.has(number)) throw invalid(`Two migrations in ${directory} have the number ${number}.`)
    numbers.add(number)
    const text = readFileSync(join(directory, name), 'utf8')
    // Line ends are Git's business, and no change.
    const checksum = createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex')
    return { name, text, checksum }
  })
}

function quoteTable(table: string): { name: string; ddl: string } {
  const parts = table.split('.')
  if (parts.length > 2 || parts.some((part) => part === '')) throw invalid(`"${table}" is no name of a table.`)
  const quoted = parts.map((part) => `"${part.replaceAll('"', '""')}"`)
  const name = quoted.join('.')
  // Not `create schema if not exists`: that asks for the right to create even where the schema is there.
  const schema =
    parts.length === 2
      ? `do $$ begin if to_regnamespace('${quoted[0]}') is null then create schema ${quoted[0]}; end if; end $$;`
      : ''
  return {
    name,
    ddl: `${schema} create table if not exists ${name} (
      name text primary key, checksum text not null, applied_at timestamptz not null default now()
    )`,
  }
}

function invalid(message: string): TrackOpsError {
  return new TrackOpsError('MIGRATION', message)
}
