/** From an INSERT to the moment when Redis tells that the key of its row is set, beside what the INSERT itself takes. */
import type { Sql } from 'postgres'

import type { RedisClient } from '../src/roles/redis-client.ts'
import { pause } from '../src/runtime/backoff.ts'
import { waitFor } from '../test/support/wait-for.ts'
import { entityKey } from './rivals/order-document.ts'
import { type Quantiles, quantilesOf } from './statistics.ts'

export interface CommitToKey {
  readonly askedPerSecond: number
  /** Less than was asked for where the machine cannot. */
  readonly reachedPerSecond: number
  readonly commits: number
  /** The INSERT's round trip, its COMMIT included. */
  readonly insert: Quantiles
  /** From the INSERT's start to the key. */
  readonly fromStart: Quantiles
  /** From COMMIT's return to the key; 0 where the key was there before. */
  readonly fromCommit: Quantiles
}

export interface Followed {
  readonly name: string
  readonly sql: Sql
  readonly redis: RedisClient
}

interface Insert {
  readonly key: string
  readonly startedMs: number
  readonly committedMs: number
}

const PREFIX = '__keyspace@0__:'
/** Commits on their way at most. Beyond, the next one waits, and its time begins when it is sent: the rate suffers, and is told. */
const WRITERS = 16
/** Where commits come faster than they can be followed, a queue is left at the end. */
const CATCH_UP_MS = 300_000

/** Each order is inserted once, so that the first SET of its key is this change. */
export async function measureCommitToKey(
  { name, sql, redis }: Followed,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<CommitToKey> {
  await redis.sendCommand(['CONFIG', 'SET', 'notify-keyspace-events', 'K$'])
  const subscriber = redis.duplicate()
  subscriber.on('error', () => undefined)
  await subscriber.connect()
  try {
    const setAtMs = new Map<string, number>()
    await subscriber.pSubscribe(`${PREFIX}${entityKey('*')}`, (_message, channel) => {
      const key = channel.slice(PREFIX.length)
      if (!setAtMs.has(key)) setAtMs.set(key, performance.now())
    })
    const count = perSecond * seconds
    const inserts: Insert[] = []
    let next = 0
    const beganMs = performance.now()
    const keepWriting = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) {
        const aheadMs = beganMs + (index * 1000) / perSecond - performance.now()
        if (aheadMs > 0) await pause(aheadMs)
        inserts.push(await insertOrder(sql))
      }
    }
    await Promise.all(Array.from({ length: WRITERS }, keepWriting))
    const tookSeconds = Math.max(seconds, (performance.now() - beganMs) / 1000)
    await waitFor(() => inserts.every(({ key }) => setAtMs.has(key)), {
      what: `${name} to have set every key`,
      timeoutMs: CATCH_UP_MS,
      intervalMs: 50,
    })
    const setAt = ({ key }: Insert): number => setAtMs.get(key) ?? Number.NaN
    return {
      askedPerSecond: perSecond,
      reachedPerSecond: Math.round(count / tookSeconds),
      commits: count,
      insert: quantilesOf(inserts.map(({ startedMs, committedMs }) => committedMs - startedMs)),
      fromStart: quantilesOf(inserts.map((one) => setAt(one) - one.startedMs)),
      fromCommit: quantilesOf(inserts.map((one) => Math.max(0, setAt(one) - one.committedMs))),
    }
  } finally {
    subscriber.destroy()
  }
}

/** What the first commits of a lane would pay for: connections, plans, code that is not yet compiled. */
export async function warmUp(sql: Sql, commits: number): Promise<void> {
  for (let index = 0; index < commits; index += WRITERS)
    await Promise.all(Array.from({ length: WRITERS }, () => insertOrder(sql)))
}

async function insertOrder(sql: Sql): Promise<Insert> {
  const startedMs = performance.now()
  const [row] = await sql<{ id: string }[]>`
    insert into orders (customer_id, total_amount) values (gen_random_uuid(), 1) returning id::text`
  return { key: entityKey(row?.id ?? ''), startedMs, committedMs: performance.now() }
}
