/**
 * Runs of the models, step by step, against the real Lua on a real Redis: what the row replay and the list replay share. A
 * replay knows nothing of the model's state: it takes steps, watches what Redis holds and what readers are answered, and
 * judges P1 to P3 by that alone. A walk then compares with the model besides.
 */
import { createClient } from '@redis/client'

import { KINDS } from '../../src/cache/apply-encoding.ts'
import { type CompiledView, compileViews } from '../../src/cache/compiled-view.ts'
import { createPlanner } from '../../src/cache/plan.ts'
import { type CacheProtocol, createCacheProtocol } from '../../src/cache/protocol.ts'
import { type GlobalKeys, globalKeys } from '../../src/cache/global-keys.ts'
import { callRedis, type RedisConnection } from '../../src/cache/redis-call.ts'
import { createScripts, type Scripts } from '../../src/cache/scripts.ts'
import type { View } from '../../src/cache/view.ts'
import { formatPosition } from '../../src/change/position.ts'
import { lsnToFixedHex } from '../../src/change/lsn.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import { defer, type TestScope } from '../support/defer.ts'
import { testRedis } from '../support/redis.ts'
import type { Step } from './explore.ts'
import type { SimulatedDatabase } from './simulated-database.ts'

const TIMEOUT_MS = 10_000
const MARK_MS = 600_000

export interface Replay<ModelState> {
  /** 'refused': the real system does not take this step here, and nothing has changed. */
  take(step: Step): Promise<'taken' | 'refused'>
  /** Where Redis is otherwise than the model's state, in words; empty if nowhere. */
  differences(model: ModelState): Promise<readonly string[]>
  /** Everything that is under way is brought to its end, and the properties of the state of rest are looked at. */
  rest(): Promise<void>
  /** What was broken so far, in words that begin with a property's id. */
  readonly broken: readonly string[]
}

/** In every script where `from` occurs; there, once. */
export interface Edit {
  readonly from: string
  readonly to: string
}

export interface ReplayRedis extends RedisConnection {
  command(...args: string[]): Promise<unknown>
  /**
   * From here on, scripts are loaded with these edits; none: as they are.
   *
   * @throws Error if an edit does not fit: that is no mutant that survived
   */
  mutate(edits: readonly Edit[]): Promise<void>
}

/** A server for a test file's replays, without persistence: they save and restore by themselves. */
export async function replayRedis(scope: TestScope): Promise<ReplayRedis> {
  const server = await testRedis(scope, { settings: { appendonly: 'no', save: '' } })
  const client = createClient({ url: server.url })
  await client.connect()
  defer(scope, () => client.destroy())
  let edit: ((script: string) => string) | null = null
  const hashes = new Map<string, string>()

  // The scripts' owner names them by the hash of the text that it knows: the mutants are put in between.
  async function sendCommand(args: readonly string[]): Promise<unknown> {
    if (!edit) return await client.sendCommand([...args])
    const [command, second = '', text = ''] = args
    if (command === 'SCRIPT' && second === 'LOAD') {
      const original = (await client.sendCommand(['SCRIPT', 'LOAD', text])) as unknown as string
      hashes.set(original, (await client.sendCommand(['SCRIPT', 'LOAD', edit(text)])) as unknown as string)
      return original
    }
    if (command !== 'EVALSHA') return await client.sendCommand([...args])
    const mutant = hashes.get(second)
    if (mutant === undefined) throw new Error('a script that was not loaded')
    return await client.sendCommand(['EVALSHA', mutant, ...args.slice(2)])
  }

  const redis: RedisConnection = {
    get isReady() {
      return client.isReady
    },
    sendCommand,
    on: (event, listener) => client.on(event, listener),
    off: (event, listener) => client.off(event, listener),
  }
  return {
    ...redis,
    command: (...args) => callRedis(redis, args, TIMEOUT_MS),
    async mutate(edits) {
      edit = null
      hashes.clear()
      if (edits.length === 0) return
      const fitting = new Set<Edit>()
      edit = (script) =>
        edits.reduce((edited, each) => {
          const parts = edited.split(each.from)
          if (parts.length > 2) throw new Error(`the edit fits ${parts.length - 1} places: ${each.from}`)
          if (parts.length === 2) fitting.add(each)
          return parts.join(each.to)
        }, script)
      await createScripts(redis, TIMEOUT_MS).load()
      const lost = edits.find((each) => !fitting.has(each))
      if (lost) throw new Error(`the edit fits no script: ${lost.from}`)
    },
  }
}

export interface Harness {
  readonly view: CompiledView
  readonly keys: GlobalKeys
  readonly protocol: CacheProtocol
  /** Null, or what Redis says of the batch: the keys to refill, or that the positions do not fit. */
  consume(
    role: 'invalidate' | 'warm' | 'both',
    txs: readonly number[],
    from: number,
    to: number,
  ): Promise<readonly string[] | null>
  /** The last transaction that each consumer's stored position covers. */
  positions(): Promise<{ inv: number; warm: number }>
  /** Step 1: 'entry' if there is one after all. */
  lease(
    key: string,
    token: string,
    isPresentTooOld: boolean,
  ): Promise<{ got: 'lease' | 'none' | 'entry'; generation: string }>
  settle(key: string, settlement: Settlement): Promise<readonly unknown[]>
  /** Both consumers, whatever Redis holds. */
  reposition(to: number): Promise<void>
  raiseViewFence(lsnUnits: number): Promise<void>
  /** Once, before one `fallBack`. */
  save(): Promise<void>
  fallBack(): Promise<void>
}

export interface Settlement {
  readonly token: string
  readonly generation: string
  readonly snapshot: string
  readonly boundUnits: number
  /** As lua/settle.lua wants it: how, and what. */
  readonly args: readonly string[]
  readonly isAbsenceKept: boolean
}

const HISTORY = 'h'

/** An empty Redis, whose consumers have processed nothing. */
export async function createHarness(
  redis: ReplayRedis,
  definition: View,
  database: SimulatedDatabase,
): Promise<Harness> {
  await redis.command('FLUSHALL')
  const views = compileViews([definition])
  const view = views.byName(definition.name)
  const keys = globalKeys('')
  const protocol = createCacheProtocol({ redis, log: SILENT }, { views })
  const planner = createPlanner(views)
  const scripts: Scripts = createScripts(redis, TIMEOUT_MS)
  const textAt = (tx: number): string => `${HISTORY}|${formatPosition(database.commitPosition(tx))}`
  const txAt = (text: string | null): number => {
    for (let tx = 0; tx <= 64; tx++) if (text === textAt(tx)) return tx
    throw new Error(`a position that nobody has written: ${text}`)
  }
  await protocol.reposition('invalidate', null, textAt(0))
  await protocol.reposition('warm', null, textAt(0))

  return {
    view,
    keys,
    protocol,

    async consume(role, txs, from, to) {
      const { operations } = planner.plan(txs.map((tx) => database.planItem(tx)))
      const text = textAt(from)
      const outcome = await protocol.apply({
        role,
        from:
          role === 'invalidate'
            ? { invalidator: text }
            : role === 'warm'
              ? { warmer: text }
              : { invalidator: text, warmer: text },
        to: textAt(to),
        operations,
      })
      return outcome.ok ? outcome.refill.map(({ key }) => key) : null
    },

    async positions() {
      const { invalidator, warmer } = await protocol.positions()
      return { inv: txAt(invalidator), warm: txAt(warmer) }
    },

    async lease(key, token, isPresentTooOld) {
      const reply = (await scripts.run(
        'lease',
        [keys.generation, keys.viewFence(view.name), key],
        [KINDS[view.kind], view.code, token, String(MARK_MS), isPresentTooOld ? '1' : '0'],
      )) as [string, [string]]
      const got = reply[1][0]
      return { got: got === 'l' ? 'lease' : got === 'n' ? 'none' : 'entry', generation: reply[0] }
    },

    async settle(key, settlement) {
      const header = [KINDS[view.kind], view.code, settlement.token, settlement.generation, settlement.snapshot]
      const bound = lsnToFixedHex(database.lsnOf(settlement.boundUnits))
      const absenceMs = settlement.isAbsenceKept ? String(MARK_MS) : '0'
      const reply = (await scripts.run(
        'settle',
        [keys.generation, keys.viewFence(view.name), key],
        [...header, bound, String(MARK_MS), absenceMs, ...settlement.args],
      )) as [unknown[]]
      return reply[0]
    },

    async reposition(to) {
      const { invalidator, warmer } = await protocol.positions()
      await protocol.reposition('invalidate', invalidator, textAt(to))
      await protocol.reposition('warm', warmer, textAt(to))
    },

    async raiseViewFence(lsnUnits) {
      await scripts.run('raise-view-fence', [keys.viewFence(view.name)], [lsnToFixedHex(database.lsnOf(lsnUnits))])
    },

    async save() {
      for (const key of (await redis.command('KEYS', '*')) as string[]) await redis.command('COPY', key, key, 'DB', '1')
    },

    async fallBack() {
      await redis.command('FLUSHDB')
      await redis.command('SWAPDB', '0', '1')
    },
  }
}
