import type { Sql } from 'postgres'

import type { ReplicaIdentity } from '../change/relation.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { RelationMessage } from './pgoutput-messages.ts'
import { toCaptureError } from './postgres-error.ts'

/** What a relation message would say of the table now. */
export async function describeTable(
  sql: Sql,
  schema: string,
  table: string,
  includesGenerated: boolean,
): Promise<RelationMessage> {
  const rows = await sql<
    {
      oid: number
      replica_identity: string
      name: string | null
      type_oid: number
      modifier: number
      is_identity: boolean
    }[]
  >`
    select c.oid::bigint::float8 as oid, c.relreplident::text as replica_identity, a.attname::text as name,
           a.atttypid::bigint::float8 as type_oid, a.atttypmod as modifier,
           c.relreplident = 'f' or exists (
             select from pg_index i where i.indrelid = c.oid
                and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end
                and a.attnum = any(i.indkey::int2[])
           ) as is_identity
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                              and (a.attgenerated = '' or ${includesGenerated})
     where n.nspname = ${schema} and c.relname = ${table}
     order by a.attnum`.catch((error: unknown) => {
    throw toCaptureError(error, `describing ${schema}.${table}`)
  })
  const [first] = rows
  if (!first) throw new TrackOpsError('CONFIG_INVALID', `there is no table ${schema}.${table} to read`)
  return {
    type: 'relation',
    oid: first.oid,
    schema,
    table,
    replicaIdentity: IDENTITIES[first.replica_identity] ?? 'default',
    columns: rows.flatMap((row) =>
      row.name === null
        ? []
        : [{ name: row.name, typeOid: row.type_oid, typeModifier: row.modifier, isIdentity: row.is_identity }],
    ),
  }
}

const IDENTITIES: Readonly<Record<string, ReplicaIdentity>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }
