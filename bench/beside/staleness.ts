/**
 * Writers, readers and a few faults, over both contestants at once: the same changes, the same faults at the same moments. What
 * readers are answered is judged by one check, and so is what is cached at the end.
 */
import type { Sql } from 'postgres'

import { pause } from '../../src/runtime/backoff.ts'
import { entityKey } from '../rivals/order-document.ts'
import type { Contestant, Role } from './contestants.ts'
import type { Servers } from './servers.ts'

export type ReadOrder = (id: string) => Promise<unknown>

export interface Watched {
  readonly contestant: Contestant
  readonly read: ReadOrder
}

export interface Judgement {
  readonly reads: number
  /** Lower than a version that an earlier read, which had ended before this one began, was answered. */
  readonly wentBack: number
  /** Lower than a version whose write had ended more than BOUND_MS before the read began. */
  readonly tooOld: number
  readonly failedReads: number
  /** At rest: keys in Redis, and those that are not as the row is. */
  readonly cachedAtRest: number
  readonly wrongAtRest: number
}

/** Longer than a killed consumer's partitions stay without one (its session: 10 s), with room to catch up. */
export const BOUND_MS = 20_000
const ROLES: readonly Role[] = ['invalidator', 'warmer', 'publisher']
const READERS = 4
const WRITERS = 4

export interface StalenessOptions {
  readonly orders: number
  readonly seconds: number
  readonly writesPerSecond: number
}

interface Written {
  readonly version: number
  readonly atMs: number
}

export async function measureStaleness(
  servers: Servers,
  all: readonly Watched[],
  options: StalenessOptions,
  print: (line: string) => void,
): Promise<ReadonlyMap<string, Judgement>> {
  const { sql } = servers
  const rows = await sql<{ id: string }[]>`
    insert into orders (customer_id, total_amount) select gen_random_uuid(), 1 from generate_series(1, ${options.orders}::int)
    returning id::text`
  const ids = rows.map(({ id }) => id)
  for (const { contestant } of all) contestant.start(ROLES)
  for (const { contestant } of all) await contestant.caughtUp(await servers.ends())
  const writes = new Map<string, Written[]>()
  const stop = new AbortController()
  const writing = Array.from({ length: WRITERS }, () => keepWriting(sql, ids, writes, options, stop.signal))
  const tallies = all.map((watched) => ({ watched, ...startReaders(watched, ids, writes, stop.signal) }))
  try {
    await faults(
      all.map(({ contestant }) => contestant),
      options.seconds,
      print,
    )
  } finally {
    stop.abort()
    await Promise.all([...writing, ...tallies.map(({ done }) => done)])
  }
  const judgements = new Map<string, Judgement>()
  for (const { watched, tally } of tallies) {
    await watched.contestant.caughtUp(await servers.ends())
    judgements.set(watched.contestant.name, { ...tally, ...(await compareAtRest(sql, watched.contestant, ids)) })
    await watched.contestant.stop()
  }
  return judgements
}

/** Some orders change all the time, most of them seldom. */
function pick(ids: readonly string[]): string {
  return ids[Math.floor(Math.random() ** 3 * ids.length)] ?? ''
}

async function keepWriting(
  sql: Sql,
  ids: readonly string[],
  writes: Map<string, Written[]>,
  { writesPerSecond }: StalenessOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let number = 0; !signal.aborted; number++) {
    const id = pick(ids)
    const [row] = await sql<{ version: string }[]>`
      update orders set total_amount = total_amount + 1, status = case when status = 'PENDING' then 'CONFIRMED' else 'PENDING' end
      where id = ${id}::uuid returning version::text`
    const written = { version: Number(row?.version), atMs: performance.now() }
    const known = writes.get(id)
    if (known) known.push(written)
    else writes.set(id, [written])
    await pause((1000 * WRITERS) / writesPerSecond)
  }
}

function startReaders(
  { read }: Watched,
  ids: readonly string[],
  writes: ReadonlyMap<string, readonly Written[]>,
  signal: AbortSignal,
): { readonly tally: Omit<Judgement, 'cachedAtRest' | 'wrongAtRest'>; readonly done: Promise<unknown> } {
  const tally = { reads: 0, wentBack: 0, tooOld: 0, failedReads: 0 }
  const greatest = new Map<string, number>()
  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      const id = pick(ids)
      const floor = greatest.get(id) ?? -1
      const beganMs = performance.now()
      const due = writes.get(id)?.findLast(({ atMs }) => atMs < beganMs - BOUND_MS)
      try {
        const { version } = (await read(id)) as { readonly version: number }
        tally.reads += 1
        if (version < floor) tally.wentBack += 1
        if (due && version < due.version) tally.tooOld += 1
        if (version > (greatest.get(id) ?? -1)) greatest.set(id, version)
      } catch {
        tally.failedReads += 1
      }
      await pause(1)
    }
  }
  return { tally, done: Promise.all(Array.from({ length: READERS }, loop)) }
}

/** In fifths of the time: calm; consumers killed in mid-batch; Redis from an older dump; changes delivered again; calm. */
async function faults(all: readonly Contestant[], seconds: number, print: (line: string) => void): Promise<void> {
  const fifthMs = (seconds * 1000) / 5
  const each = async (work: (contestant: Contestant) => Promise<void>): Promise<void> => {
    await Promise.all(all.map(work))
  }
  await pause(fifthMs)
  print('  the consumers are killed, and started again')
  await each(async (contestant) => {
    await contestant.kill()
    contestant.start(ROLES)
  })
  await pause(fifthMs / 2)
  await each(async ({ redis }) => void (await redis.sendCommand(['SAVE'])))
  await pause(fifthMs / 2)
  print('  Redis is killed, and started again from a dump of before')
  await each(async ({ redisServer }) => {
    await redisServer.kill()
    await redisServer.start()
  })
  await pause(fifthMs)
  print('  the consumers are stopped, their offsets set back, and they are started again')
  await each(async (contestant) => {
    await contestant.stop()
    await contestant.goBack(200)
    contestant.start(ROLES)
  })
  await pause(2 * fifthMs)
}

/** What `trackops verify` does, for a value that anybody may have written: the cached version against the row's. */
async function compareAtRest(
  sql: Sql,
  { redis }: Contestant,
  ids: readonly string[],
): Promise<Pick<Judgement, 'cachedAtRest' | 'wrongAtRest'>> {
  const rows = await sql<{ id: string; version: string; status: string }[]>`
    select id::text, version::text, status from orders where id = any (${[...ids]}::uuid[])`
  const cached = await redis.mGet(rows.map(({ id }) => entityKey(id)))
  let cachedAtRest = 0
  let wrongAtRest = 0
  for (const [index, row] of rows.entries()) {
    const text = cached[index]
    if (text === null || text === undefined) continue
    cachedAtRest += 1
    const document = JSON.parse(text) as { readonly version: number; readonly status: string }
    if (document.version !== Number(row.version) || document.status !== row.status) wrongAtRest += 1
  }
  return { cachedAtRest, wrongAtRest }
}
