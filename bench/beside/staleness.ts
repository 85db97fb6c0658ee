/**
 * Writers, readers and a few faults, over both contestants at once: the same changes, the same faults at the same moments. What
 * readers are answered is judged by one check, and so is what is cached at the end.
 */
import type { Sql } from 'postgres'

import { pause } from '../../src/runtime/backoff.ts'
import { entityKey } from '../rivals/order-document.ts'
import type { Contestant, Role } from './contestants.ts'
import { createJudge, type Judge, type Tally } from './judge.ts'
import type { Servers } from './servers.ts'

export type ReadOrder = (id: string) => Promise<unknown>

export interface Watched {
  readonly contestant: Contestant
  readonly read: ReadOrder
}

export interface Judgement extends Tally {
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
  const judged = all.map((watched) => ({ ...watched, judge: createJudge(BOUND_MS) }))
  const stop = new AbortController()
  const wrote = (id: string, version: number): void => {
    for (const { judge } of judged) judge.wrote(id, version, performance.now())
  }
  const working = [
    ...Array.from({ length: WRITERS }, () => keepWriting(sql, ids, wrote, options, stop.signal)),
    ...judged.flatMap((one) => Array.from({ length: READERS }, () => keepReading(one, ids, stop.signal))),
  ]
  try {
    await faults(
      all.map(({ contestant }) => contestant),
      options.seconds,
      print,
    )
  } finally {
    stop.abort()
    await Promise.all(working)
  }
  const judgements = new Map<string, Judgement>()
  for (const { contestant, judge } of judged) {
    await contestant.caughtUp(await servers.ends())
    judgements.set(contestant.name, { ...judge.tally(), ...(await compareAtRest(sql, contestant, ids)) })
    await contestant.stop()
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
  wrote: (id: string, version: number) => void,
  { writesPerSecond }: StalenessOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const id = pick(ids)
    const [row] = await sql<{ version: string }[]>`
      update orders set total_amount = total_amount + 1, status = case when status = 'PENDING' then 'CONFIRMED' else 'PENDING' end
      where id = ${id}::uuid returning version::text`
    wrote(id, Number(row?.version))
    await pause((1000 * WRITERS) / writesPerSecond)
  }
}

async function keepReading(
  { read, judge }: Watched & { readonly judge: Judge },
  ids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const id = pick(ids)
    const judged = judge.begin(id, performance.now())
    try {
      judged.answered(((await read(id)) as { readonly version: number }).version)
    } catch {
      judged.failed()
    }
    await pause(1)
  }
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
  // By then the partitions of those that were killed have others to serve them.
  await pause((2 * fifthMs) / 3)
  await each(async ({ redis }) => void (await redis.sendCommand(['SAVE'])))
  await pause(fifthMs / 3)
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
