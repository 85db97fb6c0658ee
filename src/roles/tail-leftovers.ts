import { randomBytes } from 'node:crypto'

import type { ReservedSql, Sql } from 'postgres'

import { dropPublication } from '../capture/publication.ts'

const PREFIX = 'trackops_tail_'

/** The first of two numbers of an advisory lock; the second is the name's hash. */
const LOCK_SPACE = 0x7461696c

/** A name for slot and publication that nobody has. As long as the connection lives, it is known to be in use. */
export async function claimTailName(connection: ReservedSql): Promise<string> {
  const name = `${PREFIX}${randomBytes(6).toString('hex')}`
  await connection`select pg_advisory_lock(${LOCK_SPACE}::int, hashtext(${name}))`
  return name
}

/**
 * Drops the publications of tails that were killed: the server drops a temporary slot with its connection, but a publication stays,
 * and with it the owner's UPDATEs of a table without replica identity go on failing.
 */
export async function dropLeftTailPublications(sql: Sql, connection: ReservedSql): Promise<readonly string[]> {
  const rows = await connection<{ name: string }[]>`
    select pubname as name from pg_publication p
     where pubname ~ ${`^${PREFIX}[0-9a-f]{12}$`} and pg_has_role(pubowner, 'USAGE')
       and not exists (select from pg_replication_slots where slot_name = p.pubname)`
  const dropped: string[] = []
  for (const { name } of rows) {
    const [lock] = await connection<{ is_free: boolean }[]>`
      select pg_try_advisory_lock(${LOCK_SPACE}::int, hashtext(${name})) as is_free`
    if (lock?.is_free !== true) continue
    await dropPublication(sql, name)
    await connection`select pg_advisory_unlock(${LOCK_SPACE}::int, hashtext(${name}))`
    dropped.push(name)
  }
  return dropped
}
