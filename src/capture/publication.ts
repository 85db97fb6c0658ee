import type { Sql, TransactionSql } from 'postgres'

import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { toCaptureError } from './postgres-error.ts'

export interface PublicationOptions {
  readonly publication: string
  /** `public.orders`; names as the catalog has them, not quoted. */
  readonly tables: readonly string[]
  /**
   * Publish tables without a usable replica identity too: only where a person has named them, as from then on their
   * UPDATEs and DELETEs fail. Default false.
   */
  readonly acceptsWeakIdentity?: boolean
  /** Leave one that does not publish every operation as it is. Default false. */
  readonly acceptsFewerOperations?: boolean
  /**
   * Of a publication that is made here: changes of partitions come under the name of the partitioned table, as which
   * applications know it. Default true; false is Debezium's default.
   */
  readonly publishesViaRoot?: boolean
}

export interface TableState {
  /** `public.orders` */
  readonly name: string
  /** `"public"."orders"` */
  readonly quoted: string
  readonly isPublished: boolean
  /** Partitions or the table itself whose UPDATEs would fail if they were published. */
  readonly weak: readonly string[]
  /** FULL, with a stored generated column. */
  readonly hasStoredIdentity: boolean
}

interface PublicationState {
  readonly is_owner: boolean
  readonly publishes_all: boolean
  readonly publishes_stored: boolean
}

/**
 * From PostgreSQL 18 on, a generated column that is part of the replica identity has to be published, or its owner's
 * UPDATEs fail; before, there is no such setting and no such check.
 */
const PUBLISHES_STORED_SINCE = 180_000

/**
 * Looks after the publication: created if missing, for exactly these tables; missing tables added, if it is ours; every
 * operation published. A table that lacks a usable replica identity is never added: its owner's UPDATEs would fail.
 * Gives the tables that were added to a publication which was there before: their changes until now are not in the stream.
 *
 * @throws TrackOpsError CONFIG_INVALID (no such table), REPLICA_IDENTITY_WEAK, PUBLICATION_MISSING (not ours, and lacks something)
 */
export async function ensurePublication(
  deps: { readonly sql: Sql; readonly log: Logger },
  options: PublicationOptions,
): Promise<readonly string[]> {
  try {
    return await deps.sql.begin(async (tx) => {
      await tx`set local synchronous_commit = local`
      await tx`set local lock_timeout = '10s'`
      return await ensureWithin(tx, deps.log, options)
    })
  } catch (error) {
    throw toCaptureError(error, `looking after publication ${options.publication}`)
  }
}

/**
 * Still all there? A table that is taken out of the publication while it is followed goes unnoticed in the stream: its changes
 * just stop.
 *
 * @throws TrackOpsError PUBLICATION_MISSING
 */
export async function assertPublished(sql: Sql, publication: string, tables: readonly string[]): Promise<void> {
  let published: readonly { readonly name: string }[]
  try {
    published = await sql<{ name: string }[]>`
      select n.nspname || '.' || c.relname as name
        from pg_publication p
        join pg_publication_rel r on r.prpubid = p.oid
        join pg_class c on c.oid = r.prrelid
        join pg_namespace n on n.oid = c.relnamespace
       where p.pubname = ${publication}
      union
      select schemaname || '.' || tablename from pg_publication_tables where pubname = ${publication}`
  } catch (error) {
    throw toCaptureError(error, `looking at publication ${publication}`)
  }
  const names = new Set(published.map(({ name }) => name))
  const missing = tables.filter((table) => !names.has(table))
  if (missing.length === 0) return
  throw new TrackOpsError('PUBLICATION_MISSING', `publication ${publication} no longer has ${missing.join(', ')}`, {
    details: { publication, tables: missing.join(', ') },
  })
}

/** @throws TrackOpsError POSTGRES_UNREACHABLE, ... */
export async function dropPublication(sql: Sql, publication: string): Promise<void> {
  try {
    await sql.begin(async (tx) => {
      await tx`set local synchronous_commit = local`
      await tx`set local client_min_messages = warning`
      await tx.unsafe(`drop publication if exists ${quoteIdentifier(publication)}`)
    })
  } catch (error) {
    throw toCaptureError(error, `dropping publication ${publication}`)
  }
}

async function ensureWithin(tx: TransactionSql, log: Logger, options: PublicationOptions): Promise<readonly string[]> {
  const { publication } = options
  const quotedPublication = quoteIdentifier(publication)
  const [state] = await tx<PublicationState[]>`
    select pg_has_role(pubowner, 'USAGE') as is_owner,
           pubinsert and pubupdate and pubdelete and pubtruncate as publishes_all,
           coalesce(to_jsonb(p) ->> 'pubgencols', 's') = 's' as publishes_stored
      from pg_publication p where pubname = ${publication}`
  const [server] = await tx<{ version: number }[]>`select current_setting('server_version_num')::int as version`
  const tables = await readTables(tx, options)
  const missing = tables.filter((table) => !table.isPublished)
  const needsStored = tables.some((table) => table.hasStoredIdentity)
  const list = missing.map((table) => table.quoted).join(', ')
  const commands: string[] = []
  if (!state) {
    if (tables.length === 0)
      throw new TrackOpsError('CONFIG_INVALID', `publication ${publication} would have no tables`)
    const settings = [
      ...((options.publishesViaRoot ?? true) ? ['publish_via_partition_root = true'] : []),
      ...(needsStored && (server?.version ?? 0) >= PUBLISHES_STORED_SINCE
        ? ['publish_generated_columns = stored']
        : []),
    ]
    const suffix = settings.length > 0 ? ` with (${settings.join(', ')})` : ''
    commands.push(`create publication ${quotedPublication} for table ${list}${suffix}`)
  } else {
    if (missing.length > 0) commands.push(`alter publication ${quotedPublication} add table ${list}`)
    if (!state.publishes_stored && needsStored) {
      commands.push(`alter publication ${quotedPublication} set (publish_generated_columns = stored)`)
    }
    if (!state.publishes_all && options.acceptsFewerOperations !== true) {
      commands.push(`alter publication ${quotedPublication} set (publish = 'insert, update, delete, truncate')`)
    }
  }
  if (commands.length === 0) return []
  if (state && !state.is_owner) {
    throw new TrackOpsError(
      'PUBLICATION_MISSING',
      `publication ${publication} is somebody else's and lacks something: ${commands.join('; ')}`,
      { details: { publication } },
    )
  }
  if (options.acceptsWeakIdentity !== true) refuseWeak(missing)
  for (const command of commands) await tx.unsafe(command)
  const added = missing.map((table) => table.name)
  log.info({ publication, tables: added }, state ? 'publication altered' : 'publication created')
  return state ? added : []
}

/** @throws TrackOpsError REPLICA_IDENTITY_WEAK with the command for each table */
export function refuseWeak(tables: readonly TableState[]): void {
  const weak = tables.flatMap((table) => table.weak)
  if (weak.length === 0) return
  const commands = weak.map((table) => `alter table ${table} replica identity full`).join('; ')
  throw new TrackOpsError(
    'REPLICA_IDENTITY_WEAK',
    `publishing would make every UPDATE and DELETE fail on tables without a usable replica identity: ${weak.join(', ')}. ` +
      `Add a primary key, or: ${commands}; (with virtual generated columns only a primary key or an index will do).`,
    { details: { tables: weak.join(', '), command: `${commands};` } },
  )
}

/**
 * Usable: FULL, DEFAULT with a primary key, or an index that is still there. Of a partitioned table the leaves count: changes are
 * published as theirs.
 */
async function readTables(tx: TransactionSql, options: PublicationOptions): Promise<readonly TableState[]> {
  const wanted = options.tables.map((name) => splitTableName(name))
  const rows = await tx<
    { name: string; quoted: string; is_published: boolean; weak: string[]; has_stored_identity: boolean }[]
  >`
    with wanted as (
      select * from unnest(${wanted.map(([schema]) => schema)}::text[], ${wanted.map(([, table]) => table)}::text[])
        as w(schema_name, table_name)
    )
    select w.schema_name || '.' || w.table_name as name, format('%I.%I', n.nspname, c.relname) as quoted,
           exists (select from pg_publication_tables p where p.pubname = ${options.publication}
                     and p.schemaname = n.nspname and p.tablename = c.relname)
           or exists (select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
                       where p.pubname = ${options.publication} and r.prrelid = c.oid)
           or exists (select from pg_publication p where p.pubname = ${options.publication} and p.puballtables)
             as is_published,
           array(
             select format('%I.%I', leaf_schema.nspname, leaf.relname)
               from (select c.oid where c.relkind <> 'p'
                     union select t.relid::oid from pg_partition_tree(c.oid) t where t.isleaf and c.relkind = 'p') member
               join pg_class leaf on leaf.oid = member.oid
               join pg_namespace leaf_schema on leaf_schema.oid = leaf.relnamespace
              where case leaf.relreplident
                    -- FULL holds virtual generated columns, which are never published: UPDATEs would fail (PostgreSQL 18)
                    when 'f' then exists (select from pg_attribute a where a.attrelid = leaf.oid and a.attgenerated = 'v'
                                             and not a.attisdropped)
                    when 'd' then not exists (select from pg_index i where i.indrelid = leaf.oid and i.indisprimary)
                    when 'i' then not exists (select from pg_index i where i.indrelid = leaf.oid and i.indisreplident)
                    else true end
              order by 1
           ) as weak,
           c.relreplident = 'f' and exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 's'
                                               and not a.attisdropped) as has_stored_identity
      from wanted w
      join pg_namespace n on n.nspname = w.schema_name
      join pg_class c on c.relnamespace = n.oid and c.relname = w.table_name and c.relkind in ('r', 'p')`
  const found = new Set(rows.map((row) => row.name))
  for (const [schema, table] of wanted) {
    if (found.has(`${schema}.${table}`)) continue
    throw new TrackOpsError('CONFIG_INVALID', `there is no table ${schema}.${table} to capture`, {
      details: { table: `${schema}.${table}` },
    })
  }
  return rows.map((row) => ({
    name: row.name,
    quoted: row.quoted,
    isPublished: row.is_published,
    weak: row.weak,
    hasStoredIdentity: row.has_stored_identity,
  }))
}

/** `public.orders` to its two parts; the first dot divides. @throws TrackOpsError CONFIG_INVALID */
export function splitTableName(name: string): readonly [schema: string, table: string] {
  const dot = name.indexOf('.')
  if (dot <= 0 || dot === name.length - 1) {
    throw new TrackOpsError('CONFIG_INVALID', `${JSON.stringify(name)} is not a table's name; expected schema.table`)
  }
  return [name.slice(0, dot), name.slice(dot + 1)]
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
