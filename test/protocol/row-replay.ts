/** The row model's steps on the real thing: one row, one key. */
import { versioned } from '../../src/cache/apply-encoding.ts'
import { type Floor, isAtFloor } from '../../src/cache/floor.ts'
import { lsnFromFixedHex, lsnToFixedHex } from '../../src/change/lsn.ts'
import { parseSnapshot } from '../../src/change/transaction-id.ts'
import { type Row, rowView } from '../../src/cache/view.ts'
import type { Step } from './explore.ts'
import { MODEL_DEFAULTS, type ModelOptions, type ModelState } from './model-state.ts'
import { createHarness, type Harness, type Replay, type ReplayRedis } from './replay.ts'
import { type SimulatedDatabase, simulatedDatabase, type SimulatedRow } from './simulated-database.ts'

const DEFINITION = {
  name: 'entity',
  key: 'item:{id}',
  table: 'public.items',
  columns: ['id', 'v'],
  ttlSeconds: 3600,
  document: ({ id, v }: Row) => ({ id: id ?? null, v: v ?? null }),
} as const
const KEY = 'item:1'

/** What Redis holds, in the model's terms. */
interface Held {
  readonly value: 'none' | 'event' | 'read'
  readonly v: number
  readonly lsn: number
  /** -1: no absence is stored. */
  readonly absent: number
  readonly token: number
  readonly passed: number
  readonly fence: number
  readonly fenceAt: number
  readonly answered: number
  readonly isAtFloor: boolean
}

interface Reader {
  readonly seen: number
  readonly need: number
  readonly generation: string
  readonly isAboveEntry: boolean
  read?: { readonly v: number; readonly snapshot: string; readonly bound: number }
}

export async function rowReplay(
  redis: ReplayRedis,
  given: Partial<ModelOptions>,
  xidOrder: readonly number[],
): Promise<Replay<ModelState>> {
  const o: ModelOptions = { ...MODEL_DEFAULTS, ...given }
  const all = Array.from({ length: o.txs }, (_none, index) => index + 1)
  const isGone = (v: number): boolean => v === 0 || o.deletes.includes(v)
  const rowAt = (v: number): SimulatedRow | null => (isGone(v) ? null : { owner: 'x', v })
  const lsnUnits = (tx: number): number => (tx === 0 ? 0 : (o.lsns[tx - 1] ?? tx))
  const database: SimulatedDatabase = simulatedDatabase(
    all.map((tx) => ({ id: '1', before: rowAt(tx - 1), after: rowAt(tx), lsn: lsnUnits(tx) })),
    xidOrder,
  )
  const harness: Harness = await createHarness(redis, rowView({ ...DEFINITION, warm: o.policy }), database)
  const { view } = harness

  const broken: string[] = []
  const readers = new Map<number, Reader>()
  let [logged, shown, invMax, warmMax, observed, gapAt] = [0, 0, 0, 0, 0, 0]
  let isLost = false
  let floor: Floor | undefined
  let forgetting: ModelState['forget'] = 'none'
  let truncated: 'no' | 'begun' | 'done' = 'no'

  const shownBy = (snapshot: string): number => Math.max(0, ...database.shownBy(snapshot))
  const units = (hex: string): number => Number(lsnFromFixedHex(hex) / database.lsnOf(1))

  async function look(): Promise<Held> {
    const names = ['lease', 'absent', 'fence', 'answered'].map((name) => `{${KEY}}:${name}`)
    const reply = (await redis.command('MGET', KEY, ...names)) as (string | null)[]
    const [value, lease, absent, fence, answered] = reply
    const document = value ? (JSON.parse(value) as { _v: string; v: string }) : null
    const [, kind, first = ''] = document?._v.split('|') ?? []
    const v = document ? Number(document.v) : 0
    if (value && absent) broken.push('P1 a value and an absence at once')
    if (document && kind === 'r' && shownBy(first) !== v) broken.push('P1 a value is not of its snapshot')
    const [token = '', ...noted] = lease?.split(';').filter(Boolean) ?? []
    const passed = all.filter((tx) => noted.includes(String(database.xidOf(tx))))
    const [fenceLsn = '', fencePosition = ''] = fence?.split('|') ?? []
    return {
      value: !document ? 'none' : kind === 'e' ? 'event' : 'read',
      v,
      lsn: kind === 'e' ? units(first) : 0,
      absent: absent ? shownBy(absent.split('|')[2] ?? '') : -1,
      token: Number(token.slice(1)),
      passed: Math.max(0, ...passed),
      fence: fence ? units(fenceLsn) : 0,
      fenceAt: all.find((tx) => fencePosition.startsWith(lsnToFixedHex(database.commitPosition(tx).commitLsn))) ?? 0,
      answered: answered ? units(answered) : 0,
      isAtFloor: floor === undefined || isAtFloor(document?._v ?? absent ?? '', floor),
    }
  }

  const versionOf = (held: Held): number => (held.value === 'none' ? held.absent : held.v)

  function answer(v: number, reader: { readonly seen: number; readonly need: number }): void {
    if (v < reader.seen) broken.push(`P2 answered ${v} after ${reader.seen}`)
    if (v < reader.need) broken.push(`L7 answered ${v} to a token of ${reader.need}`)
    observed = Math.max(observed, v)
  }

  async function judge(): Promise<void> {
    const held = await look()
    const entry = versionOf(held)
    if (entry < 0) return
    if (entry < observed && held.isAtFloor) broken.push(`P2 ${entry} is cached, ${observed} was answered`)
    if (entry < Math.max(invMax, warmMax) && !isLost)
      broken.push(`P3 ${entry} is cached, ${Math.max(invMax, warmMax)} processed`)
  }

  async function consume(who: 'invalidate' | 'warm', to: number, from: number): Promise<boolean> {
    const positions = await harness.positions()
    const at = who === 'invalidate' ? positions.inv : positions.warm
    if (to > shown || forgetting !== 'none') return false
    const role = who === 'warm' && !o.apart ? 'both' : who
    const txs = all.slice(from, to)
    // A TRUNCATE is of another partition: nothing comes of it here, and where its position is, the next call reaches.
    const isTruncate = txs.length === 1 && txs[0] === o.truncate
    // What came last comes again, as after a crash of the consumer: it must be refused.
    if (from > 0 && (await harness.consume(role, all.slice(from - 1, from), from - 1, from)) !== null)
      broken.push(`L2 ${who} took the change before ${to} twice`)
    const refill = await harness.consume(role, isTruncate ? [] : txs, from, to)
    if ((refill === null) !== (at !== from)) broken.push(`L2 ${who} from ${from} where Redis is at ${at}`)
    if (refill === null) return false
    if (isTruncate) return true
    if (who === 'invalidate') invMax = Math.max(invMax, to)
    else warmMax = Math.max(warmMax, to)
    return true
  }

  async function miss(token: number, need: number): Promise<boolean> {
    const held = await look()
    if (versionOf(held) >= Math.max(need, 0) && held.isAtFloor) {
      answer(versionOf(held), { seen: observed, need: 0 })
      return true
    }
    const isTooOld = versionOf(held) >= 0
    const { got, generation } = await harness.lease(KEY, `t${token}`, isTooOld)
    if (got === 'entry') throw new Error('the lease script found an entry that is not there')
    readers.set(token, { seen: observed, need, generation, isAboveEntry: isTooOld && !held.isAtFloor })
    return true
  }

  async function settle(token: number, reader: Reader): Promise<void> {
    const { need, read } = reader
    if (!read) throw new Error('a reader settles before it reads')
    const held = await look()
    const how =
      need > 0
        ? ['t', String(database.xidOf(need)), lsnToFixedHex(database.lsnAfter(lsnUnits(need)))]
        : [reader.isAboveEntry ? 'e' : 'k']
    const text = versioned(JSON.stringify({ id: '1', v: String(read.v) }), `${view.code}|r|${read.snapshot}`)
    const what = isGone(read.v) ? ['a'] : ['v', '3600', text]
    const [said] = await harness.settle(KEY, {
      token: `t${token}`,
      generation: reader.generation,
      snapshot: read.snapshot,
      boundUnits: read.bound,
      args: [...how, ...what],
      isAbsenceKept: o.absent,
    })
    readers.delete(token)
    if (said === 's' || said === 'n') answer(read.v, reader)
    else if (held.isAtFloor) answer(versionOf(held), reader)
  }

  /** protocol.forget and reposition, in pieces: other steps fall between them. */
  async function forget(phase: string): Promise<boolean> {
    if (phase !== forgetting) return false
    switch (phase) {
      case 'raise':
        if (shown < gapAt) return false
        await redis.command('INCR', harness.keys.generation)
        await redis.command('UNLINK', harness.keys.viewFence(view.name))
        forgetting = 'sweep-values'
        return true
      case 'sweep-values':
        await redis.command('UNLINK', KEY, ...['absent', 'fence'].map((name) => `{${KEY}}:${name}`))
        forgetting = 'sweep-leases'
        return true
      case 'sweep-leases':
        await redis.command('UNLINK', `{${KEY}}:lease`)
        forgetting = 'reposition'
        return true
      default:
        await harness.reposition(gapAt)
        forgetting = 'none'
        invMax = warmMax = gapAt
        return true
    }
  }

  async function truncate(phase: string): Promise<boolean> {
    if (shown < o.truncate) return false
    if (phase === 'none') await harness.raiseViewFence(lsnUnits(o.truncate))
    else if (phase === 'raised') await redis.command('UNLINK', KEY, `{${KEY}}:absent`)
    else {
      await redis.command('UNLINK', `{${KEY}}:lease`)
      invMax = Math.max(invMax, o.truncate)
    }
    truncated = phase === 'swept-values' ? 'done' : 'begun'
    return true
  }

  async function act({ kind, of, and }: Step): Promise<boolean> {
    const reader = readers.get(of)
    switch (kind) {
      case 'commit':
        logged = of
        return true
      case 'visible':
        shown = of
        return true
      case 'invalidate':
      case 'warm':
        return await consume(kind, of, and)
      case 'miss':
        return await miss(of, and)
      case 'read':
        if (!reader) return false
        reader.read = {
          v: shown,
          snapshot: database.snapshotText(new Set(all.slice(0, shown))),
          bound: Math.max(0, ...all.slice(0, logged).map(lsnUnits)),
        }
        return true
      case 'settle':
        if (!reader) return false
        await settle(of, reader)
        return true
      case 'hit': {
        const held = await look()
        if (versionOf(held) < 0 || !held.isAtFloor) return false
        answer(versionOf(held), { seen: observed, need: 0 })
        return true
      }
      case 'evict-value':
        return (await redis.command('UNLINK', KEY, `{${KEY}}:absent`)) !== 0
      case 'evict-lease':
        return (await redis.command('UNLINK', `{${KEY}}:lease`)) !== 0
      case 'redis-saves':
        await harness.save()
        return true
      case 'redis-falls-back': {
        await harness.fallBack()
        isLost = true
        floor = {
          snapshot: parseSnapshot(database.snapshotText(new Set(all.slice(0, shown)))),
          insertLsn: database.lsnAfter(Math.max(0, ...all.slice(0, logged).map(lsnUnits))),
        }
        const { inv, warm } = await harness.positions()
        if (inv < gapAt || warm < gapAt) forgetting = 'raise'
        return true
      }
      case 'slot-lost':
        gapAt = of
        forgetting = 'raise'
        return true
      default:
        if (kind.startsWith('forget-')) return await forget(kind.slice('forget-'.length))
        if (kind.startsWith('truncate-')) return await truncate(kind.slice('truncate-'.length))
        // No evicted fences (preflight), no positions beside their data: there is nothing to do.
        return false
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
      const r = model.redis
      const differences: string[] = []
      const compare = (what: string, real: unknown, expected: unknown): void => {
        if (real !== expected) differences.push(`${what}: ${String(real)} in Redis, ${String(expected)} in the model`)
      }
      compare('value', held.value, r.value)
      compare('version', held.v, r.v)
      compare('LSN', held.lsn, r.lsn)
      compare('absent', held.absent, r.absent - 1)
      compare('lease', held.token, r.lease)
      compare('passed', held.passed, r.passed)
      compare('fence', held.fence, r.fence)
      compare('position of the fence', held.fenceAt, r.fenceAt)
      compare('answered', held.answered, r.answered)
      if (o.apart) compare('position of the invalidator', positions.inv, r.inv)
      compare('position of the warmer', positions.warm, r.warm)
      compare('observed', observed, model.observed)
      return differences
    },

    async rest() {
      shown = logged
      if (forgetting !== 'none')
        for (const phase of ['raise', 'sweep-values', 'sweep-leases', 'reposition']) await forget(phase)
      if (o.truncate > 0 && logged >= o.truncate && truncated !== 'done')
        for (const phase of ['none', 'raised', 'swept-values']) await truncate(phase)
      for (const token of readers.keys()) {
        await take({ kind: 'read', of: token, and: 0 })
        await take({ kind: 'settle', of: token, and: 0 })
      }
      const { inv, warm } = await harness.positions()
      for (let tx = inv + 1; o.apart && tx <= logged; tx++) await take({ kind: 'invalidate', of: tx, and: tx - 1 })
      for (let tx = warm + 1; tx <= logged; tx++) await take({ kind: 'warm', of: tx, and: tx - 1 })
      const held = await look()
      const entry = versionOf(held)
      if (entry >= 0 && (entry !== logged || isGone(entry) !== (held.value === 'none')))
        broken.push(`P1 at rest ${entry} is cached, the row is ${logged}`)
      if (held.fence > 0) broken.push('F a fence is left at rest')
    },
  }
}
