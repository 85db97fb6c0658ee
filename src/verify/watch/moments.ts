/**
 * What was true when: so that something can be said about a change whose time nobody noted. A row's transaction id that was not
 * given out yet at some moment belongs to a change after it.
 */
import type { Sql } from 'postgres'

import type { CompiledViews } from '../../cache/compiled-view.ts'
import { globalKeys } from '../../cache/global-keys.ts'
import { callRedis } from '../../cache/redis-call.ts'
import { infoOf, readInstance } from '../../cache/redis-look.ts'
import { parseSnapshot } from '../../change/transaction-id.ts'
import { fromPostgres } from '../../runtime/postgres-errors.ts'
import type { RedisDeps } from '../cached-entry.ts'

export interface Moment {
  /** Before the servers were asked, by performance.now. */
  readonly atMs: number
  /** The first transaction id that was not given out yet. */
  readonly xmax: bigint
  /** Another text means that entries may have gone for a good reason: evicted, forgotten, truncated, another Redis process. */
  readonly upheavals: string
}

export async function readMoment(deps: RedisDeps & { readonly sql: Sql }, views: CompiledViews): Promise<Moment> {
  const atMs = performance.now()
  const keys = globalKeys(views.keyPrefix)
  const marks = [keys.generation, ...views.all.map(({ name }) => keys.viewFence(name))]
  const [snapshot, stored, instance, stats] = await Promise.all([
    deps.sql<{ text: string }[]>`select pg_catalog.pg_current_snapshot()::text as text`.catch((error: unknown) => {
      throw fromPostgres(error, 'reading a snapshot')
    }),
    callRedis(deps.redis, ['MGET', ...marks], deps.timeoutMs),
    readInstance(deps.redis, deps.timeoutMs),
    callRedis(deps.redis, ['INFO', 'stats'], deps.timeoutMs),
  ])
  return {
    atMs,
    xmax: parseSnapshot(snapshot[0]?.text ?? '').xmax,
    upheavals: JSON.stringify([stored, instance, infoOf(stats, 'evicted_keys')]),
  }
}

export interface Moments {
  note(moment: Moment): void
  /** The last one at which this transaction had not begun; undefined: it is older than all that is remembered. */
  lastBefore(xid: bigint): Moment | undefined
}

const MAX_MOMENTS = 256

/** Keeps the first and the last ones, and of those between ever fewer. */
export function createMoments(): Moments {
  let moments: Moment[] = []
  return {
    note(moment) {
      moments.push(moment)
      if (moments.length <= MAX_MOMENTS) return
      const half = MAX_MOMENTS / 2
      moments = moments.filter((_, index) => index === 0 || index > half || index % 2 === 1)
    },
    lastBefore: (xid) => moments.findLast(({ xmax }) => xmax <= xid),
  }
}
