import { type Lsn, lsnToFixedHex } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { encodeBatch } from './apply-encoding.ts'
import type { CompiledView, CompiledViews } from './compiled-view.ts'
import { removeKeys, type RemoveOptions } from './forget-keys.ts'
import { globalKeys } from './global-keys.ts'
import type { KeyOperation } from './key-operation.ts'
import { callRedis, type RedisConnection } from './redis-call.ts'
import { createScripts } from './scripts.ts'

/** The consumer's side of PROTOCOL.md: one Redis, one database's changes. Every reply is checked (L1). */
export interface CacheProtocol {
  /** Puts the scripts into Redis. Not required, but the first pipelined calls keep their order then. */
  load(): Promise<void>
  apply(batch: Batch): Promise<BatchOutcome>
  /** null: Redis holds none. */
  positions(): Promise<StoredPositions>
  /**
   * Compare and set, for the first start and after a forget. `stored` is what was found instead of `expected`, or with it if Redis has
   * lost the forget since.
   */
  reposition(
    role: ConsumerRole,
    expected: string | null,
    to: string,
    after?: RaisedGeneration,
  ): Promise<{ ok: true } | { ok: false; stored: string | null }>
  /**
   * Ends all fills under way for these views and deletes what is cached of them. One look is enough: from the raised
   * generation on no fill of before is stored, and what a consumer creates later is right, and must stay.
   */
  forget(views: readonly string[], options?: ForgetOptions): Promise<Forgotten>
  /**
   * A TRUNCATE: from here on no change at or below `lsn` creates an entry of the view, and what is there is deleted. What a later
   * change has made stays: of two consumers apart, one may have gone on when the other comes to the TRUNCATE. So does what was read
   * when its transaction (64 bits; null: unknown) was visible: on a topic it may come by behind the changes that followed it.
   */
  truncate(view: string, lsn: Lsn, xid?: bigint | null): Promise<Forgotten>
  /** Ends what is under way. */
  close(): void
}

export type ConsumerRole = 'invalidate' | 'warm'

export interface Batch {
  readonly role: ConsumerRole | 'both'
  /** What the roles involved continue from; null: Redis must hold none. `<history>|<text that sorts>`. */
  readonly from: { readonly invalidator?: string | null; readonly warmer?: string | null }
  readonly to: string
  /** About 1,000 at most: Redis serves nobody else meanwhile. One operation a key. */
  readonly operations: readonly KeyOperation[]
}

export type BatchOutcome =
  /** `refill`: keys to be read from the database and filled through a lease. */
  | { readonly ok: true; readonly refill: readonly RefillKey[] }
  /** Nothing was written: behind means that Redis lost writes, ahead that someone else owns the position. */
  | { readonly ok: false; readonly stored: StoredPositions }

export interface RefillKey {
  readonly view: CompiledView
  readonly key: string
}

export interface StoredPositions {
  readonly invalidator: string | null
  readonly warmer: string | null
}

export interface ForgetOptions {
  /** LSNs and xids of before mean nothing any more: fences go too, of all views. Default false. */
  readonly isHistoryNew?: boolean
  readonly signal?: AbortSignal
}

export interface Forgotten {
  readonly removedKeys: number
  /** Redis still knows of it as long as what it raised is there. */
  readonly raised: RaisedGeneration
}

export interface RaisedGeneration {
  readonly key: string
  readonly to: number
}

export interface CacheProtocolOptions {
  readonly views: CompiledViews
  /** With Kafka each partition has positions of its own. */
  readonly partition?: string
  /** A reply takes milliseconds; default 10,000 so that only a Redis that hangs runs into it. */
  readonly timeoutMs?: number
  readonly random?: () => number
}

export const LEASE_TTL_MS = 10_000

export function createCacheProtocol(
  deps: { readonly redis: RedisConnection; readonly log: Logger },
  options: CacheProtocolOptions,
): CacheProtocol {
  const { redis } = deps
  const { views } = options
  const timeoutMs = options.timeoutMs ?? 10_000
  const random = options.random ?? Math.random
  const scripts = createScripts(redis, timeoutMs)
  const keys = globalKeys(views.keyPrefix, options.partition)
  const closing = new AbortController()

  async function remove(
    scope: readonly CompiledView[],
    how: {
      readonly isHistoryNew?: boolean
      readonly notAfter?: RemoveOptions['notAfter']
      readonly signal?: AbortSignal | undefined
    },
  ): Promise<number> {
    const signal = how.signal ? AbortSignal.any([how.signal, closing.signal]) : closing.signal
    return await removeKeys({ redis, scripts, timeoutMs, signal }, scope, how)
  }

  /** After it no fill that began before is stored. */
  async function raiseFence(view: string, lsn: string): Promise<RaisedGeneration> {
    const key = keys.viewFence(view)
    const raised = await scripts.run('raise-view-fence', [key], [lsn])
    return { key, to: Number(String(raised).split('|').at(-1)) }
  }

  return {
    load: () => scripts.load(),

    async apply(batch) {
      const { operations, role, from, to } = batch
      const encoded = encodeBatch(operations, { role, from, to, keys, random })
      return outcomeOf(await scripts.run('apply', encoded.keys, encoded.args), operations)
    },

    async positions() {
      const reply = await callRedis(redis, ['MGET', keys.invalidator, keys.warmer], timeoutMs)
      if (!Array.isArray(reply)) throw unexpected('MGET')
      return { invalidator: textOrNull(reply[0]), warmer: textOrNull(reply[1]) }
    },

    async reposition(role, expected, to, after) {
      const key = role === 'invalidate' ? keys.invalidator : keys.warmer
      const [sinceKeys, since] = after ? [[after.key], [String(after.to)]] : [[], []]
      const reply = await scripts.run('reposition', [key, ...sinceKeys], [expected ?? '', to, ...since])
      if (!Array.isArray(reply)) throw unexpected('reposition')
      return reply[0] === 1 ? { ok: true } : { ok: false, stored: textOrNull(reply[1]) }
    },

    async forget(names, forgetOptions = {}) {
      const isHistoryNew = forgetOptions.isHistoryNew ?? false
      const scope = isHistoryNew ? views.all : names.map((name) => views.byName(name))
      // Generations first: no fill that began before is stored from here on.
      let raised: RaisedGeneration
      if (isHistoryNew) {
        raised = { key: keys.generation, to: Number(await callRedis(redis, ['INCR', keys.generation], timeoutMs)) }
        const fences = views.all.map((view) => keys.viewFence(view.name))
        if (fences.length > 0) await callRedis(redis, ['UNLINK', ...fences], timeoutMs)
      } else {
        // Of no views there is nothing that Redis could lose.
        raised = { key: keys.generation, to: -1 }
        for (const view of scope) raised = await raiseFence(view.name, '')
      }
      return { removedKeys: await remove(scope, forgetOptions), raised }
    },

    async truncate(name, lsn, xid = null) {
      const view = views.byName(name)
      const raised = await raiseFence(name, lsnToFixedHex(lsn))
      return { removedKeys: await remove([view], { notAfter: { lsn, xid } }), raised }
    },

    close() {
      closing.abort()
    },
  }
}

function outcomeOf(reply: unknown, operations: readonly KeyOperation[]): BatchOutcome {
  if (!Array.isArray(reply)) throw unexpected('apply')
  const [isApplied, ...rest] = reply as unknown[]
  if (isApplied === 0) return { ok: false, stored: { invalidator: textOrNull(rest[0]), warmer: textOrNull(rest[1]) } }
  if (isApplied !== 1) throw unexpected('apply')
  const refill = rest.flatMap((number) => {
    const operation = typeof number === 'number' ? operations[number - 1] : undefined
    return operation ? [{ view: operation.view, key: operation.key }] : []
  })
  return { ok: true, refill }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

function unexpected(what: string): TrackOpsError {
  return new TrackOpsError('REDIS_REFUSED', `Redis answered ${what} with something unexpected`)
}
