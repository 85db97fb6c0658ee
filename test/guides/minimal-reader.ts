/**
 * A reader written from docs/wire-protocol.md alone: raw Redis commands, SQL, and the text of the Lua scripts. It imports nothing
 * of src/, and is no example of how to do it in TypeScript: there, use the reader of the package.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

import type { Sql } from 'postgres'

export interface Redis {
  sendCommand(args: readonly string[]): Promise<unknown>
}

/** Of a view, as /api/status has it; `kind` as the scripts name it. */
export interface WireView {
  readonly name: string
  readonly kind: 's' | 'h'
  readonly code: string
  readonly ttlSeconds: number
}

export interface Leased {
  readonly token: string
  readonly generation: string
  /** `v`, `a`, `l` or `n`, and what follows it. */
  readonly reply: readonly string[]
}

/** What step 2 brought: the document's members as JSON text, or each member's by its id. */
export interface FromDatabase {
  readonly snapshot: string
  readonly insertLsn: string
  readonly rows: readonly { readonly id: string; readonly document: string }[]
}

export interface Token {
  readonly xid: string
  readonly lsn: string
}

export const WITHOUT_LEASE = { token: '', generation: '' }

const LUA = new URL('../../src/cache/lua/', import.meta.url)
const read = (name: string): string => readFileSync(new URL(`${name}.lua`, LUA), 'utf8')

export async function loadScript(redis: Redis, name: 'lease' | 'settle'): Promise<string> {
  return String(await redis.sendCommand(['SCRIPT', 'LOAD', `${read('versions')}\n${read(name)}`]))
}

/** Step 1. */
export async function lease(redis: Redis, view: WireView, key: string, isPresentOfNoUse = false): Promise<Leased> {
  const token = randomBytes(9).toString('base64url')
  const hash = await loadScript(redis, 'lease')
  const [generation, reply] = (await redis.sendCommand([
    ...call(hash, view, key),
    token,
    '10000',
    isPresentOfNoUse ? '1' : '0',
  ])) as [string, string[]]
  return { token, generation, reply }
}

/** Step 2: `query` gives `id` and `document`, both text, and takes `$1`. */
export async function readDatabase(sql: Sql, query: string, parameter: string): Promise<FromDatabase> {
  const rows = await sql.unsafe<
    { snapshot: string; standby: boolean; lsn: string; id: string | null; document: string | null }[]
  >(
    `select pg_current_snapshot()::text as snapshot, pg_is_in_recovery() as standby,
            pg_current_wal_insert_lsn()::text as lsn, r.*
     from (select 1) as one left join lateral (${query}) as r on true`,
    [parameter],
  )
  const [first] = rows
  if (!first || first.standby) throw new Error('not the primary')
  return {
    snapshot: first.snapshot,
    insertLsn: fixedLsn(first.lsn),
    rows: rows.flatMap(({ id, document }) => (id === null || document === null ? [] : [{ id, document }])),
  }
}

/** Step 3. */
export async function settle(
  redis: Redis,
  view: WireView,
  key: string,
  held: Pick<Leased, 'token' | 'generation'>,
  found: Pick<FromDatabase, 'snapshot' | 'insertLsn'>,
  how: readonly string[],
  what: readonly string[],
): Promise<readonly string[]> {
  const hash = await loadScript(redis, 'settle')
  const [reply] = (await redis.sendCommand([
    ...call(hash, view, key),
    held.token,
    held.generation,
    found.snapshot,
    found.insertLsn,
    '60000',
    '60000',
    ...how,
    ...what,
  ])) as [string[]]
  return reply
}

/** What both scripts begin with, for one key. */
function call(hash: string, view: WireView, key: string): readonly string[] {
  return ['EVALSHA', hash, '3', 'trackops:generation', `trackops:fence:${view.name}`, key, view.kind, view.code]
}

/** What to store, as step 3 wants it. */
export function toStore(view: WireView, found: FromDatabase): readonly string[] {
  if (view.kind === 'h') {
    const members = found.rows.flatMap(({ id, document }) => [id, document])
    return ['h', String(view.ttlSeconds), String(found.rows.length), ...members]
  }
  const [row] = found.rows
  if (!row) return ['a']
  return ['v', String(view.ttlSeconds), `{"_v":"${view.code}|r|${found.snapshot}",${row.document.slice(1)}`]
}

export async function writeWithToken(sql: Sql, statement: string): Promise<Token> {
  const xid = await sql.begin(async (tx) => {
    await tx.unsafe(statement)
    const [row] = await tx<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
    return row?.xid ?? ''
  })
  const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  return { xid, lsn: fixedLsn(row?.lsn ?? '0/0') }
}

export function satisfies(version: string, { xid, lsn }: Token): boolean {
  const [, kind, first = '', second] = version.split('|')
  if (kind === 'e') return first >= lsn || second === xid
  const [xmin = '0', xmax = '0', running = ''] = first.split(':')
  return BigInt(xid) < BigInt(xmin) || (BigInt(xid) < BigInt(xmax) && !running.split(',').includes(xid))
}

/** Whether Redis may be trusted; `greatest` is what was seen so far, and kept up to date. */
export async function isTrusted(redis: Redis, greatest: (string | null)[]): Promise<boolean> {
  const found = (await redis.sendCommand([
    'MGET',
    'trackops:position:cache-invalidator',
    'trackops:position:cache-warmer',
  ])) as (string | null)[]
  const isBehind = found.some((position, place) => {
    const known = greatest[place] ?? null
    if (known === null) return false
    return position === null || (historyOf(position) === historyOf(known) && position < known)
  })
  if (isBehind || found.every((position) => position === null)) return false
  for (const [place, position] of found.entries()) greatest[place] = position ?? greatest[place] ?? null
  return true
}

export function fixedLsn(lsn: string): string {
  return lsn
    .split('/')
    .map((part) => part.padStart(8, '0'))
    .join('')
    .toUpperCase()
}

function historyOf(position: string): string {
  return position.slice(0, position.lastIndexOf('|'))
}
