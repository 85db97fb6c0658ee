import type { Sql } from 'postgres'

import { TrackOpsError } from '../runtime/errors.ts'
import type { RelationMessage } from './pgoutput-messages.ts'
import { toCaptureError } from './postgres-error.ts'

/**
 * By oid, the tables that are to be followed. A publication holds tables, not names: while one has another name its changes come under
 * that, and nobody would take them for its own.
 */
export type FollowedTables = ReadonlyMap<number, string>

/** @throws TrackOpsError POSTGRES_UNREACHABLE, ... */
export async function readFollowedTables(sql: Sql, tables: readonly string[]): Promise<FollowedTables> {
  try {
    const rows = await sql<{ oid: number; name: string }[]>`
      select c.oid::bigint::float8 as oid, n.nspname || '.' || c.relname as name
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname || '.' || c.relname = any (${[...tables]}::text[])`
    return new Map(rows.map(({ oid, name }) => [oid, name]))
  } catch (error) {
    throw toCaptureError(error, 'looking for the tables to follow')
  }
}

/** @throws TrackOpsError SLOT_LOST if it is one of them under another name: what it brings would be missing */
export function requireOwnName(followed: FollowedTables, { oid, schema, table }: RelationMessage): void {
  const name = followed.get(oid)
  if (name === undefined || name === `${schema}.${table}`) return
  throw new TrackOpsError('SLOT_LOST', `table ${name} was changed while it was called ${schema}.${table}`, {
    details: { table: name, renamed: `${schema}.${table}` },
  })
}
