/** The list model's steps on the real thing: a list or a query of one owner, fed by the rows 0 and 1. */
import { versioned } from '../../src/cache/apply-encoding.ts'
import { listView, queryView, type Row } from '../../src/cache/view.ts'
import { lsnFromFixedHex, lsnToFixedHex } from '../../src/change/lsn.ts'
import type { Step } from './explore.ts'
import { LIST_DEFAULTS, type ListModelOptions, type ListState } from './list-model-state.ts'
import { createHarness, type Replay, type ReplayRedis } from './replay.ts'
import { simulatedDatabase, type SimulatedRow } from './simulated-database.ts'

const LIST = listView({
  name: 'by-owner',
  key: 'items:owner:{owner}',
  table: 'public.items',
  columns: ['id', 'owner', 'v'],
  ttlSeconds: 3600,
  warm: 'cached',
  member: 'id',
  document: ({ id, v }: Row) => ({ id: id ?? null, v: v ?? null }),
})
const QUERY = queryView({
  name: 'of-owner',
  key: 'query:{owner}',
  sql: 'select 1',
  ttlSeconds: 3600,
  warm: 'cached',
  dependsOn: [
    {
      table: 'public.items',
      columns: ['owner'],
      keys: ({ owner }) => (typeof owner === 'string' ? [{ owner }] : []),
    },
  ],
})
const OWNER = 'x'
const MEMBERS = ['a', 'b'] as const

type Rows = readonly [number, number]

/** What Redis holds, in the model's terms: for a row that is no member, the version is -1. */
interface Held {
  readonly snapshot: ReadonlySet<number> | null
  readonly rows: Rows
  readonly lsns: Rows
  readonly token: number
  readonly passed: ReadonlySet<number>
  readonly mark: number
  readonly markLsn: number
}

interface Reader {
  readonly seen: Rows
  readonly need: number
  readonly generation: string
  read?: ReadonlySet<number>
}

export async function listReplay(
  redis: ReplayRedis,
  given: Partial<ListModelOptions>,
  xidOrder: readonly number[],
): Promise<Replay<ListState>> {
  const o: ListModelOptions = { ...LIST_DEFAULTS, ...given }
  const all = o.changes.map((_change, index) => index + 1)
  const rowOf = (tx: number): 0 | 1 => o.changes[tx - 1]?.row ?? 0
  const lastOf = (row: number, shown: ReadonlySet<number>): number =>
    Math.max(0, ...all.filter((tx) => rowOf(tx) === row && shown.has(tx)))
  const rowsIn = (shown: ReadonlySet<number>): Rows => [lastOf(0, shown), lastOf(1, shown)]
  const upTo = (tx: number): ReadonlySet<number> => new Set(all.slice(0, tx))
  const isMember = (tx: number): boolean => o.changes[tx - 1]?.leaves !== true
  const rowAfter = (tx: number): SimulatedRow => ({ owner: isMember(tx) ? OWNER : 'another', v: tx })
  const database = simulatedDatabase(
    o.changes.map(({ row, lsn }, index) => ({
      id: MEMBERS[row],
      before: rowAfter(lastOf(row, upTo(index))),
      after: rowAfter(index + 1),
      lsn,
    })),
    xidOrder,
  )
  const harness = await createHarness(redis, o.kind === 'list' ? LIST : QUERY, database)
  const { view } = harness
  const key = view.template.format([OWNER])

  const broken: string[] = []
  const readers = new Map<number, Reader>()
  const shown = new Set<number>()
  let [logged, invMax, warmMax] = [0, 0, 0]
  let observed: Rows = [0, 0]
  let isLost = false

  const isBehind = (rows: Rows, other: Rows): boolean => rows[0] < other[0] || rows[1] < other[1]
  const newest = (a: Rows, b: Rows): Rows => [Math.max(a[0], b[0]), Math.max(a[1], b[1])]
  /** What a list without the row may stand for: the newest visible change that made it leave; or it is a hole. */
  const versionsOf = (rows: Rows): Rows => {
    const left = (row: 0 | 1): number =>
      Math.max(-1, ...all.filter((tx) => rowOf(tx) === row && shown.has(tx) && !isMember(tx)))
    return [rows[0] >= 0 ? rows[0] : left(0), rows[1] >= 0 ? rows[1] : left(1)]
  }
  const text = (rows: Rows): string => rows.join(' and ')

  async function look(): Promise<Held> {
    const names = ['lease', 'fence'].map((name) => `{${key}}:${name}`)
    const [lease, fence] = (await redis.command('MGET', ...names)) as (string | null)[]
    const [token = '', ...noted] = lease?.split(';').filter(Boolean) ?? []
    const [fenceLsn = '', fencePosition = ''] = fence?.split('|') ?? []
    const beside = {
      token: Number(token.slice(1)),
      passed: new Set(all.filter((tx) => noted.includes(String(database.xidOf(tx))))),
      mark: all.find((tx) => fencePosition.startsWith(lsnToFixedHex(database.commitPosition(tx).commitLsn))) ?? 0,
      markLsn: fence ? Number(lsnFromFixedHex(fenceLsn) / database.lsnOf(1)) : 0,
    }
    const { version, members } = o.kind === 'list' ? await lookAtList() : await lookAtDocument()
    if (version === undefined) return { ...beside, snapshot: null, rows: [-1, -1], lsns: [0, 0] }
    const lsnOf = (memberVersion: string): number => {
      const [, kind, hex = ''] = memberVersion.split('|')
      return kind === 'e' ? Number(lsnFromFixedHex(hex) / database.lsnOf(1)) : 0
    }
    const [a, b] = [members.get('a'), members.get('b')]
    return {
      ...beside,
      snapshot: database.shownBy(version.split('|')[2] ?? ''),
      rows: [a ? Number(a.v) : -1, b ? Number(b.v) : -1],
      lsns: [a ? lsnOf(a._v) : 0, b ? lsnOf(b._v) : 0],
    }
  }

  async function lookAtList() {
    const flat = (await redis.command('HGETALL', key)) as string[] | Record<string, string>
    const fields = new Map<string, string>(
      Array.isArray(flat)
        ? flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ''] as const] : []))
        : Object.entries(flat),
    )
    const members = new Map<string, { v: string; _v: string }>()
    for (const [name, text] of fields) {
      const member = { _v: '', ...(JSON.parse(name === '_v' ? '{}' : text) as { v: string }) }
      if (name !== '_v') members.set(name, member)
    }
    return { version: fields.get('_v'), members }
  }

  async function lookAtDocument() {
    const reply = (await redis.command('GET', key)) as string | null
    const document = reply === null ? {} : (JSON.parse(reply) as { _v?: string; a?: string; b?: string })
    const members = new Map<string, { v: string; _v: string }>()
    for (const name of MEMBERS) {
      const v = document[name]
      if (v !== undefined) members.set(name, { v, _v: '' })
    }
    return { version: document._v, members }
  }

  function answer(rows: Rows, reader: { readonly seen: Rows; readonly need: number }): void {
    const versions = versionsOf(rows)
    if (isBehind(versions, reader.seen) && !isLost)
      broken.push(`P2 answered ${text(versions)} after ${text(reader.seen)}`)
    if (reader.need > 0 && versions[rowOf(reader.need)] < reader.need)
      broken.push(`L7 answered ${text(versions)} to a token of ${reader.need}`)
    observed = newest(observed, versions)
  }

  async function judge(): Promise<void> {
    const held = await look()
    if (!held.snapshot || isLost) return
    const versions = versionsOf(held.rows)
    const processed = rowsIn(upTo(Math.max(invMax, warmMax)))
    if (isBehind(versions, observed)) broken.push(`P2 ${text(versions)} is cached, ${text(observed)} was answered`)
    if (isBehind(versions, processed)) broken.push(`P3 ${text(versions)} is cached, ${text(processed)} processed`)
  }

  async function consume(who: 'invalidate' | 'warm', to: number, from: number): Promise<boolean> {
    const positions = await harness.positions()
    const at = who === 'invalidate' ? positions.inv : positions.warm
    if (!shown.has(to)) return false
    const role = who === 'warm' && !o.apart ? 'both' : who
    // What came last comes again, as after a crash of the consumer: it must be refused.
    if (from > 0 && (await harness.consume(role, [from], from - 1, from)) !== null)
      broken.push(`L2 ${who} took the change before ${to} twice`)
    const before = await look()
    const refill = await harness.consume(role, [to], from, to)
    if ((refill === null) !== (at !== from)) broken.push(`L2 ${who} from ${from} where Redis is at ${at}`)
    if (refill === null) return false
    if (who === 'invalidate') invMax = Math.max(invMax, to)
    else {
      warmMax = Math.max(warmMax, to)
      const isMarkPassed = before.mark > 0 && (before.mark <= to || before.markLsn <= (o.changes[to - 1]?.lsn ?? 0))
      const isOwed = isMarkPassed && (await look()).snapshot === null
      if (isOwed && !refill.includes(key)) broken.push('W nobody is asked to fill a list that was there')
    }
    return true
  }

  async function miss(token: number, need: number): Promise<boolean> {
    const { snapshot, rows } = await look()
    if (snapshot && (need === 0 || snapshot.has(need))) {
      answer(rows, { seen: observed, need: 0 })
      return true
    }
    const { generation } = await harness.lease(key, `t${token}`, snapshot !== null)
    readers.set(token, { seen: observed, need, generation })
    return true
  }

  async function settle(token: number, reader: Reader): Promise<void> {
    const { need, read } = reader
    if (!read) throw new Error('a reader settles before it reads')
    const held = await look()
    const needLsn = database.lsnAfter(o.changes[need - 1]?.lsn ?? 0)
    const how = need > 0 ? ['t', String(database.xidOf(need)), lsnToFixedHex(needLsn)] : ['k']
    const snapshot = database.snapshotText(read)
    const version = `${view.code}|r|${snapshot}`
    const rows = rowsIn(read)
    const present = MEMBERS.flatMap((name, row) =>
      isMember(rows[row] ?? 0) ? [[name, String(rows[row])] as const] : [],
    )
    const document = versioned(JSON.stringify(Object.fromEntries(present)), version)
    const list = present.flatMap(([name, v]) => [name, JSON.stringify({ id: name, v })])
    const what = o.kind === 'query' ? ['v', '3600', document] : ['h', '3600', String(present.length), ...list]
    const [said] = await harness.settle(key, {
      token: `t${token}`,
      generation: reader.generation,
      snapshot,
      boundUnits: Math.max(0, ...all.slice(0, logged).map((tx) => o.changes[tx - 1]?.lsn ?? 0)),
      args: [...how, ...what],
      isAbsenceKept: false,
    })
    readers.delete(token)
    answer(said === 's' || said === 'n' ? rows : held.rows, reader)
  }

  async function act({ kind, of, and }: Step): Promise<boolean> {
    const reader = readers.get(of)
    switch (kind) {
      case 'commit':
        logged = of
        return true
      case 'visible':
        shown.add(of)
        return true
      case 'invalidate':
      case 'warm':
        return await consume(kind, of, and)
      case 'miss':
        return await miss(of, and)
      case 'read':
        if (!reader) return false
        reader.read = new Set(shown)
        return true
      case 'settle':
        if (!reader) return false
        await settle(of, reader)
        return true
      case 'hit': {
        const { snapshot, rows } = await look()
        if (!snapshot) return false
        answer(rows, { seen: observed, need: 0 })
        return true
      }
      case 'evict-value':
        return (await redis.command('UNLINK', key)) !== 0
      case 'evict-lease':
        return (await redis.command('UNLINK', `{${key}}:lease`)) !== 0
      case 'redis-saves':
        await harness.save()
        return true
      case 'redis-falls-back':
        await harness.fallBack()
        isLost = true
        return true
      default:
        return false // no positions beside their data: there is nothing to do
    }
  }

  async function take(step: Step): Promise<'taken' | 'refused'> {
    const isTaken = await act(step)
    await judge()
    return isTaken ? 'taken' : 'refused'
  }

  return {
    broken,
    take,

    async differences(model) {
      const held = await look()
      const positions = await harness.positions()
      const differences: string[] = []
      const compare = (what: string, real: unknown, expected: unknown): void => {
        const [a, b] = [JSON.stringify(real), JSON.stringify(expected)]
        if (a !== b) differences.push(`${what}: ${a} in Redis, ${b} in the model`)
      }
      const masked = (mask: number): number[] => all.filter((tx) => (mask >> (tx - 1)) & 1)
      const { list, lease, passed, mark, markLsn, inv, warm } = model.redis
      compare('snapshot', held.snapshot && [...held.snapshot], list && masked(list.snapshot))
      const rows = list?.rows ?? [-1, -1]
      compare('members', held.rows, [isMember(rows[0]) ? rows[0] : -1, isMember(rows[1]) ? rows[1] : -1])
      compare('LSNs', held.lsns, list?.lsns ?? [0, 0])
      compare('lease', held.token, lease)
      compare('passed', [...held.passed], masked(passed))
      compare('mark', held.mark, mark)
      compare('LSN of the mark', held.markLsn, markLsn)
      if (o.apart) compare('position of the invalidator', positions.inv, inv)
      compare('position of the warmer', positions.warm, warm)
      compare('observed', observed, model.observed)
      return differences
    },

    async rest() {
      for (const tx of all.slice(0, logged)) shown.add(tx)
      for (const token of readers.keys()) {
        await take({ kind: 'read', of: token, and: 0 })
        await take({ kind: 'settle', of: token, and: 0 })
      }
      const { inv, warm } = await harness.positions()
      for (let tx = inv + 1; o.apart && tx <= logged; tx++) await take({ kind: 'invalidate', of: tx, and: tx - 1 })
      for (let tx = warm + 1; tx <= logged; tx++) await take({ kind: 'warm', of: tx, and: tx - 1 })
      const held = await look()
      const last = rowsIn(upTo(logged))
      const members = [isMember(last[0]) ? last[0] : -1, isMember(last[1]) ? last[1] : -1]
      if (held.snapshot && JSON.stringify(held.rows) !== JSON.stringify(members))
        broken.push(`P1 at rest ${JSON.stringify(held.rows)} is cached, the rows are ${JSON.stringify(members)}`)
      if (held.mark > 0) broken.push('F a fence is left at rest')
    },
  }
}
