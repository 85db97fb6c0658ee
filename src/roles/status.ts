import type { Sql } from 'postgres'

import { codeOf } from '../cache/code-version.ts'
import { formatLsn, type Lsn } from '../change/lsn.ts'
import { asSeparate } from '../consume/stream-consumer.ts'
import type { TrackOpsConfig } from './define-config.ts'
import type { Metrics } from './metrics.ts'
import type { Pipeline } from './pipeline.ts'
import type { Settings } from '../runtime/settings.ts'
import type { RedisClient } from './redis-client.ts'

/** `/api/status` and `trackops status --json`. LSNs are PostgreSQL's notation; every lag says its unit and its two ends. */
export interface SystemStatus {
  readonly version: string
  readonly mode: Settings['mode']
  readonly isReady: boolean
  readonly upSeconds: number
  readonly stream: {
    readonly state: string
    readonly reason: string | null
    readonly receivedLsn: string | null
    readonly ackedLsn: string | null
    readonly serverLsn: string | null
    readonly captureLagBytes: number | null
    readonly reconnections: number
    readonly passes: number
  }
  readonly consumers: readonly {
    readonly name: string
    readonly group: string
    readonly state: string
    readonly reason: string | null
    readonly appliedLsn: string | null
    readonly consumerLagBytes: number | null
    /** Distributed: partitions that this process has, and records in them behind what is applied. */
    readonly partitions: number | null
    readonly consumerLagMessages: number | null
    readonly processedChanges: number
  }[]
  readonly slot: SlotStatus | null
  readonly cache: {
    readonly isReachable: boolean
    readonly isTrusted: boolean
    readonly hits: number
    readonly misses: number
    readonly bypasses: number
    readonly hitRatio: number | null
    readonly keys: number | null
    readonly usedMemoryBytes: number | null
  }
  readonly deadLetters: number | null
  readonly views: readonly {
    readonly name: string
    readonly kind: string
    readonly key: string
    readonly warm: string
    readonly ttlSeconds: number
    /** Of the view's code as it is now: what a reader in another language needs (docs/wire-protocol.md). */
    readonly code: string
  }[]
  readonly services: readonly { readonly name: string; readonly url: string }[]
}

export interface SlotStatus {
  readonly name: string
  readonly isActive: boolean
  readonly walStatus: string | null
  readonly confirmedFlushLsn: string | null
  /** WAL between the slot's restart position and the server's end: what the slot keeps from being removed. */
  readonly retainedBytes: number | null
  /** WAL that may still be written before the slot is lost; null where the server sets no bound. */
  readonly safeWalBytes: number | null
}

export interface StatusDeps {
  readonly version: string
  readonly mode: Settings['mode']
  readonly config: TrackOpsConfig
  readonly sql: Sql
  readonly redis: RedisClient
  readonly pipeline: Pick<Pipeline, 'status'> | null
  readonly metrics: Metrics
  readonly isTrusted: () => boolean
  readonly countDeadLetters: () => Promise<number>
  readonly services: readonly { readonly name: string; readonly url: string }[]
  readonly startedAtMs: number
}

/** Never throws: what can't be asked at the moment is null. */
export async function readStatus(deps: StatusDeps): Promise<SystemStatus> {
  const pipeline = deps.pipeline?.status() ?? null
  const capture = pipeline?.capture ?? null
  const reads = deps.metrics.reads()
  const total = reads.hits + reads.misses + reads.bypasses
  const [slot, keys, usedMemoryBytes, deadLetters] = await Promise.all([
    readSlot(deps.sql, deps.config.source.slot).catch(() => null),
    deps.redis.isReady ? deps.redis.dbSize().catch(() => null) : null,
    deps.redis.isReady ? usedMemory(deps.redis).catch(() => null) : null,
    deps.countDeadLetters().catch(() => null),
  ])
  const lagTo = (lsn: Lsn | undefined): number | null =>
    capture && lsn !== undefined ? Math.max(0, Number(capture.receivedLsn - lsn)) : null
  return {
    version: deps.version,
    mode: deps.mode,
    isReady: isReady(deps),
    upSeconds: Math.round((performance.now() - deps.startedAtMs) / 1000),
    stream: {
      state: pipeline?.state === 'running' ? (capture?.state ?? 'running') : (pipeline?.state ?? 'elsewhere'),
      reason: pipeline?.reason ?? null,
      receivedLsn: capture && formatLsn(capture.receivedLsn),
      ackedLsn: capture && formatLsn(capture.ackedLsn),
      serverLsn: capture && formatLsn(capture.serverLsn),
      captureLagBytes: capture && Math.max(0, Number(capture.serverLsn - capture.receivedLsn)),
      reconnections: capture?.reconnections ?? 0,
      passes: pipeline?.passes ?? 0,
    },
    consumers: (pipeline?.consumers ?? []).flatMap(asSeparate).map((consumer) => ({
      name: consumer.name,
      group: consumer.group,
      state: consumer.state,
      reason: consumer.reason,
      appliedLsn: consumer.appliedPosition && formatLsn(consumer.appliedPosition.commitLsn),
      consumerLagBytes: lagTo(consumer.appliedPosition?.commitLsn),
      partitions: consumer.partitions ?? null,
      consumerLagMessages: consumer.lagMessages ?? null,
      processedChanges: consumer.processedCount,
    })),
    slot,
    cache: {
      isReachable: deps.redis.isReady,
      isTrusted: deps.isTrusted(),
      hits: reads.hits,
      misses: reads.misses,
      bypasses: reads.bypasses,
      hitRatio: total === 0 ? null : reads.hits / total,
      keys,
      usedMemoryBytes,
    },
    deadLetters,
    views: deps.config.views.map((view) => {
      const { name, kind, key, warm, ttlSeconds } = view
      return { name, kind, key, warm, ttlSeconds, code: codeOf(view) }
    }),
    services: deps.services,
  }
}

/** Ready: changes are flowing, or are being caught up with, and readers use Redis. A system that only waits is not. */
export function isReady(deps: Pick<StatusDeps, 'pipeline' | 'isTrusted'>): boolean {
  if (!deps.isTrusted()) return false
  if (!deps.pipeline) return true
  const { state, isFlowing, consumers } = deps.pipeline.status()
  return state === 'running' && isFlowing && consumers.every((consumer) => consumer.state === 'running')
}

/** Why the system waits, in one line for people; null while it does not. */
export function reasonOf(deps: Pick<StatusDeps, 'pipeline' | 'redis'>): string | null {
  const pipeline = deps.pipeline?.status()
  const consumer = pipeline?.consumers.find(({ reason }) => reason !== null)
  if (pipeline?.reason) return pipeline.reason
  if (consumer?.reason) return `${consumer.name}: ${consumer.reason}`
  return deps.redis.isReady ? null : 'Redis does not answer: readers are served by the database.'
}

export async function readSlot(sql: Sql, name: string): Promise<SlotStatus | null> {
  const rows = await sql<
    {
      active: boolean
      wal_status: string | null
      confirmed: string | null
      retained: string | null
      safe: string | null
    }[]
  >`
    select active, wal_status, confirmed_flush_lsn::text as confirmed, safe_wal_size::text as safe,
           pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text as retained
    from pg_replication_slots where slot_name = ${name}`
  const row = rows[0]
  if (!row) return null
  return {
    name,
    isActive: row.active,
    walStatus: row.wal_status,
    confirmedFlushLsn: row.confirmed,
    retainedBytes: row.retained === null ? null : Number(row.retained),
    safeWalBytes: row.safe === null ? null : Number(row.safe),
  }
}

async function usedMemory(redis: RedisClient): Promise<number | null> {
  const match = /^used_memory:(\d+)/m.exec(await redis.info('memory'))
  return match ? Number(match[1]) : null
}
