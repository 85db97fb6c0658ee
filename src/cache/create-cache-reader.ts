import type { Sql } from 'postgres'

import type { Lsn } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import type { CompiledView, CompiledViews } from './compiled-view.ts'
import { createDatabaseReads, type WantedKey } from './database-read.ts'
import { type Entry, readDocument, readMembers, satisfies } from './entry.ts'
import { type Floor, isAtFloor } from './floor.ts'
import { createFill, type RefreshCounts } from './fill.ts'
import { type Answer, createFlights } from './flights.ts'
import { createLimiter } from './limiter.ts'
import { LEASE_TTL_MS } from './protocol.ts'
import { globalKeys } from './global-keys.ts'
import type { CacheReader, Read, ReadOptions } from './reader.ts'
import { callRedis, type RedisConnection } from './redis-call.ts'
import { createLook } from './redis-look.ts'
import { createScripts } from './scripts.ts'
import type { FreshnessToken } from './token.ts'
import { createTrust } from './trust.ts'
import { createUnsettled } from './unsettled.ts'
import type { Document, KeyParameters, View } from './view.ts'

export interface RunningCacheReader extends CacheReader {
  /**
   * Reads these keys from the database and stores them, through a lease like any other reader: prewarm, refill, replay of
   * cache dead letters. What is there already is left. Slow where the database is: one batch after the other.
   *
   * @throws TrackOpsError REDIS_..., POSTGRES_..., DATABASE_BUSY: what is not done by then is not done
   */
  refresh(view: string, keys: readonly string[], signal?: AbortSignal): Promise<RefreshCounts>
  isRedisTrusted(): boolean
  /** What a consumer in this process has applied; see Trust. Texts as in `CacheProtocol.positions`. */
  applied(positions: { readonly invalidator: string | null; readonly warmer: string | null }): void
  databaseReads(): { readonly running: number; readonly waiting: number }
  close(): void
}

export interface CacheReaderDeps {
  readonly redis: RedisConnection
  /** The primary, with the session settings of `createPostgresPool`. */
  readonly sql: Sql
  readonly log: Logger
  /** Embedded mode: true once everything that commits before `lsn` is applied to the cache, false if not before the signal aborts. */
  readonly waitForApplied?: (lsn: Lsn, signal: AbortSignal) => Promise<boolean>
  readonly observer?: CacheReaderObserver
  readonly now?: () => number
  readonly random?: () => number
}

/** For metrics. */
export interface CacheReaderObserver {
  readonly read?: (view: string, source: Read<unknown>['source'], durationMs: number) => void
  readonly fill?: (view: string, what: 'stored' | 'not-stored' | 'lease-lost' | 'failed', keys: number) => void
}

export interface CacheReaderOptions {
  readonly views: CompiledViews
  /**
   * The partitions whose consumers have positions of their own, always in the same order; as long as it gives none, Redis is not trusted.
   * Default: one log that is not divided.
   */
  readonly partitions?: () => readonly string[]
  readonly leaseTtlMs?: number
  /** Must outlive the lag of the consumers; beyond it, answers of a key may go back (P2). Default 60 s. */
  readonly markTtlSeconds?: number
  /** How long it is remembered that a row does not exist; 0: not at all. Default 60 s. */
  readonly absenceTtlSeconds?: number
  /** Statements at a time on behalf of the cache. Default 32: what a PostgreSQL of a few cores does without queueing much. */
  readonly databaseConcurrency?: number
  /** Statements that may wait for a place; beyond, DATABASE_BUSY. Default 1,000. */
  readonly databaseQueueLength?: number
  readonly databaseWaitMs?: number
  /** A Redis that takes longer is treated as one that is down: the database answers. Default 1,000. */
  readonly redisTimeoutMs?: number
  /** How long a read waits for the consumers to reach its token before it asks the database. Default 100. */
  readonly tokenWaitMs?: number
  readonly trustIntervalMs?: number
}

const BATCH_KEYS = 100
const UNSETTLED_KEYS = 10_000
/** Answers older than their questions, one after the other, mean a key that changes all the time: then read apart from others. */
const ATTEMPTS = 4

export function createCacheReader(deps: CacheReaderDeps, options: CacheReaderOptions): RunningCacheReader {
  const { redis, log } = deps
  const { views } = options
  const now = deps.now ?? (() => performance.now())
  const redisTimeoutMs = options.redisTimeoutMs ?? 1000
  const markTtlMs = (options.markTtlSeconds ?? 60) * 1000
  const keys = globalKeys(views.keyPrefix)
  const scripts = createScripts(redis, redisTimeoutMs)
  const reads = createDatabaseReads({ sql: deps.sql })
  const limiter = createLimiter({
    concurrency: options.databaseConcurrency ?? 32,
    queueLength: options.databaseQueueLength ?? 1000,
    maxWaitMs: options.databaseWaitMs ?? 5000,
  })
  const unsettled = createUnsettled({ maxKeys: UNSETTLED_KEYS, markTtlMs, now })

  // A Redis that keeps its connection and says nothing costs one reader the wait; the others go on without, until a check passes.
  let isSilent = false
  const fill = createFill(
    {
      scripts,
      reads,
      limiter,
      isReachable() {
        if (trust.isTrusted()) isSilent = false
        return redis.isReady && !isSilent
      },
      onUnsettled(view, key, insertLsn) {
        isSilent = true
        unsettled.add(view, key, insertLsn)
        trust.doubt()
      },
      observe: (view, what, count) => deps.observer?.fill?.(view.name, what, count),
      random: deps.random ?? Math.random,
    },
    {
      keys,
      leaseTtlMs: options.leaseTtlMs ?? LEASE_TTL_MS,
      markTtlMs,
      absenceTtlMs: (options.absenceTtlSeconds ?? 60) * 1000,
    },
  )
  // By then consumers have passed it, as they have to for marks.
  let floor: (Floor & { readonly until: number }) | undefined
  const trust = createTrust(
    {
      redis,
      log,
      look: createLook({
        redis,
        keyPrefix: views.keyPrefix,
        partitions: options.partitions ?? (() => [undefined]),
        timeoutMs: redisTimeoutMs,
      }),
      async beforeTrust(hasLostWrites) {
        // It has just answered. From here on answers are settled again: those that are not would be one doubt after the other, and
        // under load no check would ever pass.
        isSilent = false
        if (!(await unsettled.pay(fill.settleLate))) return false
        if (hasLostWrites) floor = { ...(await reads.floor()), until: now() + markTtlMs }
        return true
      },
    },
    options.trustIntervalMs === undefined ? {} : { intervalMs: options.trustIntervalMs },
  )
  const misses = createFlights(fill.fill, { batchKeys: BATCH_KEYS })
  const bypasses = createFlights(fill.bypass, { batchKeys: BATCH_KEYS })

  async function present(view: CompiledView, key: string): Promise<Entry | undefined> {
    try {
      if (view.kind === 'list') return readMembers(view, await callRedis(redis, ['HGETALL', key], redisTimeoutMs))
      return readDocument(view, await callRedis(redis, ['GET', key], redisTimeoutMs))
    } catch (error) {
      // A stranger put something of another type there: a miss, which replaces it.
      if (error instanceof TrackOpsError && error.details['reply'] === 'WRONGTYPE') return undefined
      throw error
    }
  }

  async function bypass(view: CompiledView, wanted: WantedKey): Promise<Answer> {
    for (;;) {
      const answer = await bypasses.join(view, wanted, { token: undefined, isPresentTooOld: false })
      if (answer) return { ...answer, source: 'bypass' }
    }
  }

  async function hasApplied(token: FreshnessToken): Promise<boolean> {
    if (!deps.waitForApplied) return false
    return await deps.waitForApplied(token.lsn, AbortSignal.timeout(options.tokenWaitMs ?? 100))
  }

  function isBelowFloor({ version }: Entry): boolean {
    if (floor && floor.until <= now()) floor = undefined
    return floor !== undefined && !isAtFloor(version, floor)
  }

  function isNewEnough(entry: Entry, token: FreshnessToken | undefined): boolean {
    return !isBelowFloor(entry) && (!token || satisfies(entry.version, token))
  }

  async function answer(
    view: CompiledView,
    wanted: WantedKey,
    asked: FreshnessToken | undefined,
  ): Promise<Pick<Answer, 'entry' | 'source'>> {
    let token = asked
    let isPresentTooOld = false
    await trust.ready(redisTimeoutMs)
    for (let attempt = 0; attempt < ATTEMPTS && trust.isTrusted(); attempt++) {
      const doubts = trust.doubts()
      try {
        if (!isPresentTooOld) {
          const entry = await present(view, wanted.key)
          if (doubts !== trust.doubts()) continue
          if (entry && isNewEnough(entry, token)) return { entry, source: 'hit' }
          if (entry && token && !isBelowFloor(entry)) {
            // Once everything up to the token is applied, whatever the cache holds includes the write (P3).
            if (await hasApplied(token)) {
              token = undefined
              continue
            }
          }
          isPresentTooOld = entry !== undefined
        }
        const landed = await misses.join(view, wanted, { token, isPresentTooOld })
        // A hit may be from before Redis lost writes, or from after.
        if (!landed || (landed.source === 'hit' && doubts !== trust.doubts())) continue
        // Also what another's flight has just stored may be from before this token's write.
        if (isNewEnough(landed.entry, token)) return landed
        isPresentTooOld = true
      } catch (error) {
        if (!(error instanceof TrackOpsError && (error.code === 'REDIS_UNREACHABLE' || error.code === 'REDIS_REFUSED')))
          throw error
        trust.doubt()
      }
    }
    return await bypass(view, wanted)
  }

  async function read(
    view: View,
    parameters: KeyParameters,
    readOptions: ReadOptions,
  ): Promise<Pick<Answer, 'entry' | 'source'>> {
    const startedAt = performance.now()
    const compiled = views.byName(view.name)
    const answered = await answer(compiled, await reads.keyOf(compiled, parameters), readOptions.token)
    deps.observer?.read?.(view.name, answered.source, performance.now() - startedAt)
    return answered
  }

  return {
    async get(view, key, readOptions = {}) {
      const { entry, source } = await read(view, key, readOptions)
      return { value: entry.value.kind === 'document' ? entry.value.document : null, source }
    },

    async list(view, key, readOptions = {}) {
      const { entry, source } = await read(view, key, readOptions)
      const none: readonly Document[] = []
      return { value: entry.value.kind === 'members' ? entry.value.members : none, source }
    },

    async refresh(name, wantedKeys, signal) {
      const view = views.byName(name)
      const wanted = wantedKeys.flatMap((key) => {
        const parameters = view.template.parse(key)
        return parameters
          ? [{ key, texts: view.template.parameters.map((parameter) => parameters[parameter] ?? '') }]
          : []
      })
      const total = { stored: 0, left: 0, notStored: 0 }
      for (let from = 0; from < wanted.length; from += BATCH_KEYS) {
        signal?.throwIfAborted()
        const counts = await fill.refresh(view, wanted.slice(from, from + BATCH_KEYS))
        total.stored += counts.stored
        total.left += counts.left
        total.notStored += counts.notStored
      }
      return total
    },

    isRedisTrusted: () => trust.isTrusted(),
    applied: ({ invalidator, warmer }) => trust.applied([invalidator, warmer]),
    databaseReads: () => ({ running: limiter.running, waiting: limiter.waiting }),
    close: () => trust.close(),
  }
}
