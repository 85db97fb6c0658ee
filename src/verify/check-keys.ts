import { hash } from 'node:crypto'

import type { CompiledView } from '../cache/compiled-view.ts'
import type { DatabaseReads, Found } from '../cache/database-read.ts'
import { callRedis } from '../cache/redis-call.ts'
import type { Lsn } from '../change/lsn.ts'
import { rawOf, readCachedEntries, type RedisDeps } from './cached-entry.ts'
import { compareEntry, type Verdict } from './compare.ts'

export interface CheckDeps extends RedisDeps {
  readonly reads: DatabaseReads
}

export interface CheckedKey {
  readonly view: CompiledView
  readonly key: string
  readonly verdict: Verdict
  /** A digest of each thing that differs (see Verdict), as it was in the cache, its version included. */
  readonly digests: ReadonlyMap<string, string>
  /** WAL insert position after the database was read; null where it was not. */
  readonly insertLsn: Lsn | null
}

/** Lists together may have as many members as this at a time, unless a single one has more. */
const MEMBERS_AT_A_TIME = 10_000

/**
 * Compares keys of one view. The cache is read first, and the database after it: as a change is visible before it is
 * processed, the database then is never behind the cache. So if the two differ, it is the entry that is old.
 */
export async function checkKeys(
  deps: CheckDeps,
  view: CompiledView,
  keys: readonly string[],
): Promise<readonly CheckedKey[]> {
  const checked: CheckedKey[] = []
  for (const some of await inPortions(deps, view, keys)) checked.push(...(await checkSome(deps, view, some)))
  return checked
}

async function checkSome(deps: CheckDeps, view: CompiledView, keys: readonly string[]): Promise<readonly CheckedKey[]> {
  const entries = await readCachedEntries(deps, view, keys)
  const wanted = await Promise.all(keys.map((key) => deps.reads.keyOf(view, view.template.parse(key) ?? {})))
  // A key in another spelling than the canonical one is no row's key.
  const canonical = wanted.filter((one, index) => one.key === keys[index] && entries[index]?.kind !== 'missing')
  const reads = canonical.length > 0 ? await deps.reads.read(view, canonical) : []
  const found = new Map<string, { readonly found: Found; readonly insertLsn: Lsn }>()
  for (const read of reads) {
    for (const [key, one] of read.found) found.set(key, { found: one, insertLsn: read.insertLsn })
  }
  return keys.map((key, index): CheckedKey => {
    const entry = entries[index] ?? { kind: 'missing' }
    const row = found.get(key)
    const verdict = compareEntry(entry, row?.found ?? { kind: 'absent' }, view.code)
    const members = verdict.kind === 'different' ? verdict.members : []
    const digests = new Map(members.map((member) => [member, digest(rawOf(entry, member))]))
    return { view, key, verdict, digests, insertLsn: row?.insertLsn ?? null }
  })
}

/** Many suspects are kept at a time; what they hold may be long. */
function digest(text: string): string {
  return hash('sha1', text, 'base64')
}

/** Two hundred documents are small; two hundred lists need not be. */
async function inPortions(
  { redis, timeoutMs }: CheckDeps,
  view: CompiledView,
  keys: readonly string[],
): Promise<readonly (readonly string[])[]> {
  if (view.kind !== 'list') return [keys]
  const lengths = await Promise.all(keys.map((key) => callRedis(redis, ['HLEN', key], timeoutMs).catch(() => 0)))
  const portions: string[][] = []
  let members = Infinity
  for (const [index, key] of keys.entries()) {
    members += Number(lengths[index])
    if (members > MEMBERS_AT_A_TIME) {
      portions.push([])
      members = Number(lengths[index])
    }
    portions.at(-1)?.push(key)
  }
  return portions
}
