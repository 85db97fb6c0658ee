/** From the return of a COMMIT to the moment when Redis tells that the key is set. */
import { pause } from '../../src/runtime/backoff.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { entityKey } from '../rivals/order-document.ts'
import type { Contestant, Role } from './contestants.ts'
import type { Servers } from './servers.ts'

export interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly commits: number
}

const PREFIX = '__keyspace@0__:'

/** Orders are inserted, each once, so that the first SET of its key is this change. All three roles run, in one process. */
export async function measureLatency(
  contestant: Contestant,
  servers: Servers,
  options: { readonly perSecond: number; readonly seconds: number; readonly hasPublisher: boolean },
): Promise<Latency> {
  const { sql } = servers
  const roles: readonly Role[] = options.hasPublisher
    ? ['invalidator', 'warmer', 'publisher']
    : ['invalidator', 'warmer']
  contestant.start(roles)
  await contestant.redis.sendCommand(['CONFIG', 'SET', 'notify-keyspace-events', 'K$'])
  const subscriber = contestant.redis.duplicate()
  await subscriber.connect()
  const setAtMs = new Map<string, number>()
  await subscriber.pSubscribe(`${PREFIX}order:entity:*`, (_message, channel) => {
    const key = channel.slice(PREFIX.length)
    if (!setAtMs.has(key)) setAtMs.set(key, performance.now())
  })
  const insert = async (): Promise<string> => {
    const [row] = await sql<{ id: string }[]>`
      insert into orders (customer_id, total_amount) values (gen_random_uuid(), 1) returning id::text`
    return entityKey(row?.id ?? '')
  }
  try {
    // What was left to do first, and a little more to be warm.
    await contestant.caughtUp(await servers.ends(), roles)
    for (let index = 0; index < 100; index++) await insert()
    await contestant.caughtUp(await servers.ends(), roles)
    const committedAtMs = new Map<string, number>()
    const writing: Promise<void>[] = []
    const beganMs = performance.now()
    const count = options.perSecond * options.seconds
    for (let index = 0; index < count; index++) {
      const aheadMs = beganMs + (index * 1000) / options.perSecond - performance.now()
      if (aheadMs > 0) await pause(aheadMs)
      writing.push(insert().then((key) => void committedAtMs.set(key, performance.now())))
    }
    await Promise.all(writing)
    await waitFor(() => [...committedAtMs.keys()].every((key) => setAtMs.has(key)), {
      what: `${contestant.name} to have set every key`,
      timeoutMs: 120_000,
    })
    const sorted = Array.from(committedAtMs, ([key, at]) => Math.max(0, (setAtMs.get(key) ?? 0) - at)).toSorted(
      (a, b) => a - b,
    )
    const quantile = (share: number): number =>
      Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1))
    return { p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: quantile(1), commits: count }
  } finally {
    subscriber.destroy()
    await contestant.stop()
  }
}
