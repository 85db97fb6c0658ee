/** Everything that there is to know about one key: entry, version, side keys, and the row as the database gives it now. */
import type { CompiledView, CompiledViews } from '../cache/compiled-view.ts'
import type { Found } from '../cache/database-read.ts'
import { callRedis, isErrorReply } from '../cache/redis-call.ts'
import { formatLsn, lsnFromFixedHex } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { type CachedEntry, fieldsOf, type RedisDeps, readCachedEntries } from './cached-entry.ts'
import type { CheckDeps } from './check-keys.ts'
import { compareEntry } from './compare.ts'
import { type EntryVersion, parseEntryVersion } from './entry-version.ts'

/** LSNs as PostgreSQL writes them. TTLs: null where there is none. */
export interface Inspection {
  readonly key: string
  readonly view: string
  readonly kind: CompiledView['kind']
  readonly cached: {
    readonly state: CachedEntry['kind']
    /** The document, or the members by their field; null where there is none that can be read. */
    readonly value: unknown
    readonly version: DescribedVersion | null
    readonly ttlSeconds: number | null
  }
  /** Of a list: what each member was made from. */
  readonly memberVersions: Readonly<Record<string, DescribedVersion | null>> | null
  readonly lease: {
    readonly token: string
    readonly passedXids: readonly string[]
    readonly ttlMs: number | null
  } | null
  readonly fence: { readonly lsn: string; readonly position: string; readonly valueWasThere: boolean } | null
  readonly answered: { readonly lsn: string; readonly ttlMs: number | null } | null
  readonly absent: { readonly version: DescribedVersion | null; readonly ttlMs: number | null } | null
  readonly row: { readonly state: Found['kind']; readonly value: unknown; readonly snapshot: string | null }
  /** null: nothing is cached, or nothing can be compared. */
  readonly agrees: boolean | null
  readonly verdict: string
}

export type DescribedVersion = {
  readonly madeFrom: 'change' | 'read'
  readonly lsn: string | null
  readonly xid: string | null
  readonly snapshot: string | null
  readonly code: string
  /** False: readers take the entry for a miss. */
  readonly isCurrentCode: boolean
}

/** @throws TrackOpsError UNKNOWN_KEY if no view has such keys */
export async function inspectKey(
  deps: CheckDeps & { readonly views: CompiledViews },
  key: string,
): Promise<Inspection> {
  const view = deps.views.ofKey(key)
  if (!view) {
    const templates = deps.views.all.map(({ template }) => deps.views.keyPrefix + template.text).join(', ')
    throw new TrackOpsError('UNKNOWN_KEY', `${key} is a key of no view; keys look like ${templates}.`)
  }
  const [entry = { kind: 'missing' } as const] = await readCachedEntries(deps, view, [key])
  const side = await readSideKeys(deps, key)
  const members = view.kind === 'list' && entry.kind === 'members' ? await memberVersions(deps, view, key) : null
  const wanted = await deps.reads.keyOf(view, view.template.parse(key) ?? {})
  const [read] = wanted.key === key ? await deps.reads.read(view, [wanted]) : []
  const found: Found = read?.found.get(key) ?? { kind: 'absent' }
  const verdict = compareEntry(entry, found, view.code)
  const isComparable = verdict.kind === 'equal' || verdict.kind === 'different'
  return {
    key,
    view: view.name,
    kind: view.kind,
    cached: {
      state: entry.kind,
      value: valueOf(entry),
      version: 'version' in entry ? describeVersion(entry.version, view) : null,
      ttlSeconds: side.ttlMs === null ? null : Math.round(side.ttlMs / 1000),
    },
    memberVersions: members,
    lease: side.lease === null ? null : { ...parseLease(side.lease.text), ttlMs: side.lease.ttlMs },
    fence: side.fence === null ? null : parseFence(side.fence.text),
    answered: side.answered === null ? null : { lsn: lsnOf(side.answered.text), ttlMs: side.answered.ttlMs },
    absent: side.absent === null ? null : { version: describeText(side.absent.text, view), ttlMs: side.absent.ttlMs },
    row: { state: found.kind, value: rowValue(found), snapshot: read?.snapshot ?? null },
    agrees: isComparable ? verdict.kind === 'equal' : null,
    verdict: verdict.kind === 'different' ? verdict.difference : verdict.kind,
  }
}

interface SideKey {
  readonly text: string
  readonly ttlMs: number | null
}

/** What a stranger put in place of a text: the scripts see nothing there. */
const ANOTHER_TYPE = 'something of another type'

async function readSideKeys(
  { redis, timeoutMs }: RedisDeps,
  key: string,
): Promise<{ ttlMs: number | null } & Record<'lease' | 'fence' | 'answered' | 'absent', SideKey | null>> {
  const ttlOf = async (name: string): Promise<number | null> => {
    const reply = Number(await callRedis(redis, ['PTTL', name], timeoutMs))
    return reply >= 0 ? reply : null
  }
  const read = async (suffix: string): Promise<SideKey | null> => {
    const name = `{${key}}:${suffix}`
    const reading = callRedis(redis, ['GET', name], timeoutMs).catch((error: unknown) => {
      if (isErrorReply(error, 'WRONGTYPE')) return ANOTHER_TYPE
      throw error
    })
    const [text, ttlMs] = await Promise.all([reading, ttlOf(name)])
    return typeof text === 'string' ? { text, ttlMs } : null
  }
  const [ttlMs, lease, fence, answered, absent] = await Promise.all([
    ttlOf(key),
    read('lease'),
    read('fence'),
    read('answered'),
    read('absent'),
  ])
  return { ttlMs, lease, fence, answered, absent }
}

async function memberVersions(
  { redis, timeoutMs }: RedisDeps,
  view: CompiledView,
  key: string,
): Promise<Record<string, DescribedVersion | null>> {
  const reply = await callRedis(redis, ['HGETALL', key], timeoutMs)
  const versions: [string, DescribedVersion | null][] = []
  for (const [field, text] of fieldsOf(reply) ?? []) {
    const [, version] = /^\{"_v":"([^"]*)"/.exec(text) ?? []
    if (!field.startsWith('_') && version !== undefined) versions.push([field, describeText(version, view)])
  }
  return Object.fromEntries(versions)
}

/** `<token>;<xid>;<xid>;` */
export function parseLease(text: string): { readonly token: string; readonly passedXids: readonly string[] } {
  const [token = '', ...xids] = text.split(';')
  return { token, passedXids: xids.filter(Boolean) }
}

/** `<lsn>|<position>|<+ if a value was there>` */
export function parseFence(text: string): Inspection['fence'] {
  const [lsn = '', position = '', mark = ''] = text.split('|')
  return { lsn: lsnOf(lsn), position, valueWasThere: mark === '+' }
}

function describeText(text: string, view: CompiledView): DescribedVersion | null {
  const version = parseEntryVersion(text)
  return version ? describeVersion(version, view) : null
}

function describeVersion(version: EntryVersion, view: CompiledView): DescribedVersion {
  return {
    madeFrom: version.kind,
    lsn: version.kind === 'change' ? formatLsn(version.lsn) : null,
    xid: version.kind === 'change' ? String(version.xid) : null,
    snapshot: version.kind === 'read' ? version.snapshot : null,
    code: version.code,
    isCurrentCode: version.code === view.code,
  }
}

/** What is not an LSN of ours is shown as it is. */
function lsnOf(hex: string): string {
  return /^[0-9A-F]{16}$/.test(hex) ? formatLsn(lsnFromFixedHex(hex)) : hex
}

function valueOf(entry: CachedEntry): unknown {
  if (entry.kind === 'document') return entry.document
  return entry.kind === 'members' ? Object.fromEntries(entry.members) : null
}

function rowValue(found: Found): unknown {
  if (found.kind === 'document') return JSON.parse(found.text)
  if (found.kind !== 'members') return null
  return Object.fromEntries(Array.from(found.members, ([field, text]) => [field, JSON.parse(text) as unknown]))
}
