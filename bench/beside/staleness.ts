/**
 * Writers, readers and a few faults, over all contestants at once: the same changes, the same faults at the same moments. What
 * readers are answered, and what is cached at the end, is judged by the soak's checker (test/history), one for each contestant.
 */
import type { Sql } from 'postgres'

import { pause } from '../../src/runtime/backoff.ts'
import { createChecker, type Rule } from '../../test/history/checker.ts'
import { type HistoryRecord, nowUs } from '../../test/history/record.ts'
import { entityKey } from '../rivals/order-document.ts'
import type { Contestant, Role } from './contestants.ts'
import type { Servers } from './servers.ts'

export type ReadOrder = (id: string) => Promise<unknown>

export interface Watched {
  readonly contestant: Contestant
  readonly read: ReadOrder
}

export interface Judgement {
  readonly checkedReads: number
  readonly failedReads: number
  /** Those that were found at all; the rules are the checker's. */
  readonly violations: Readonly<Partial<Record<Rule, number>>>
  /** Keys in Redis at the end. */
  readonly cachedAtRest: number
}

const ROLES: readonly Role[] = ['invalidator', 'warmer', 'publisher']
const CACHE_ROLES: readonly Role[] = ['invalidator', 'warmer']
const READERS = 4
const WRITERS = 4
const MARKS_EVERY_MS = 100
const REDIS_RESTORED = {
  op: 'fault',
  name: 'Redis restored from an older dump',
  losesRedis: true,
  cutsReaders: true,
} as const

export interface StalenessOptions {
  readonly orders: number
  readonly seconds: number
  readonly writesPerSecond: number
}

/** One contestant's record, judged while it is made. */
interface Judged extends Watched {
  readonly record: (one: HistoryRecord) => void
  readonly readFailed: () => void
  readonly judgement: (cachedAtRest: number) => Judgement
}

export async function measureStaleness(
  servers: Servers,
  all: readonly Watched[],
  options: StalenessOptions,
  print: (line: string) => void,
): Promise<ReadonlyMap<string, Judgement>> {
  const { sql } = servers
  const judged = all.map(judge)
  const tellAll = (one: HistoryRecord): void => judged.forEach(({ record }) => record(one))
  const ids = await insertOrders(sql, options.orders, tellAll)
  for (const { contestant } of all) contestant.start(ROLES)
  for (const { contestant } of all) await contestant.caughtUp(await servers.ends())
  const stop = new AbortController()
  const working = [
    ...Array.from({ length: WRITERS }, () => keepWriting(sql, ids, tellAll, options, stop.signal)),
    ...judged.flatMap((one) => Array.from({ length: READERS }, () => keepReading(one, ids, stop.signal))),
    ...judged.map((one) => keepMarking(servers, one, stop.signal)),
  ]
  try {
    await faults(judged, options.seconds, print)
  } finally {
    stop.abort()
    await Promise.all(working)
  }
  const judgements = new Map<string, Judgement>()
  for (const one of judged) {
    const { contestant } = one
    await contestant.caughtUp(await servers.ends())
    const cached = await readAtRest(sql, one, ids)
    judgements.set(contestant.name, one.judgement(cached))
    await contestant.stop()
  }
  return judgements
}

function judge(watched: Watched): Judged {
  const checker = createChecker()
  const violations: Partial<Record<Rule, number>> = {}
  let failedReads = 0
  const count = (found: readonly { readonly rule: Rule }[]): void =>
    found.forEach(({ rule }) => (violations[rule] = (violations[rule] ?? 0) + 1))
  return {
    ...watched,
    record: (one) => count(checker.add(one)),
    readFailed: () => void failedReads++,
    judgement(cachedAtRest) {
      count(checker.finish())
      return { checkedReads: checker.checkedReads(), failedReads, violations, cachedAtRest }
    },
  }
}

async function insertOrders(sql: Sql, count: number, tell: (one: HistoryRecord) => void): Promise<readonly string[]> {
  const invokedUs = nowUs()
  const rows = await sql<{ id: string; version: string }[]>`
    insert into orders (customer_id, total_amount) select gen_random_uuid(), 1 from generate_series(1, ${count}::int)
    returning id::text, version::text`
  for (const { id, version } of rows) tell(written(id, version, invokedUs))
  return rows.map(({ id }) => id)
}

/** A row's version grows with each change, as the time of its last change does: the checker compares numbers. */
function written(row: string, version: string | undefined, invokedUs: number): HistoryRecord {
  const at = Number(version)
  return { op: 'write', door: 'sql', row, outcome: 'ok', at, invokedUs, completedUs: nowUs() }
}

/** Some orders change all the time, most of them seldom. */
function pick(ids: readonly string[]): string {
  return ids[Math.floor(Math.random() ** 3 * ids.length)] ?? ''
}

async function keepWriting(
  sql: Sql,
  ids: readonly string[],
  tell: (one: HistoryRecord) => void,
  { writesPerSecond }: StalenessOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const id = pick(ids)
    const invokedUs = nowUs()
    const [row] = await sql<{ version: string }[]>`
      update orders set total_amount = total_amount + 1, status = case when status = 'PENDING' then 'CONFIRMED' else 'PENDING' end
      where id = ${id}::uuid returning version::text`
    tell(written(id, row?.version, invokedUs))
    await pause((1000 * WRITERS) / writesPerSecond)
  }
}

async function keepReading(
  { read, record, readFailed }: Judged,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const row = pick(ids)
    const invokedUs = nowUs()
    try {
      const { version: at } = (await read(row)) as { readonly version: number }
      record({ op: 'read', door: 'sdk', key: `entity:${row}`, row, at, invokedUs, completedUs: nowUs() })
    } catch {
      readFailed()
    }
    await pause(1)
  }
}

/** Says again and again up to where the consumers of the cache have come. */
async function keepMarking(servers: Servers, { contestant, record }: Judged, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const invokedUs = nowUs()
    await contestant.caughtUp(await servers.ends(), CACHE_ROLES)
    record({ op: 'processed', invokedUs, completedUs: nowUs() })
    await pause(MARKS_EVERY_MS, signal)
  }
}

/** In fifths of the time: calm; consumers killed in mid-batch; Redis from an older dump; changes delivered again; calm. */
async function faults(all: readonly Judged[], seconds: number, print: (line: string) => void): Promise<void> {
  const fifthMs = (seconds * 1000) / 5
  const each = async (work: (contestant: Contestant, record: Judged['record']) => Promise<void>): Promise<void> => {
    await Promise.all(all.map(({ contestant, record }) => work(contestant, record)))
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
  await each(async ({ redisServer }, record) => {
    record({ ...REDIS_RESTORED, phase: 'begin', invokedUs: nowUs(), completedUs: nowUs() })
    await redisServer.kill()
    await redisServer.start()
    record({ ...REDIS_RESTORED, phase: 'end', invokedUs: nowUs(), completedUs: nowUs() })
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

/** What is in Redis while nobody writes and everything is processed, beside what the database holds. Gives how many are there. */
async function readAtRest(sql: Sql, { contestant, record }: Judged, ids: readonly string[]): Promise<number> {
  const askedUs = nowUs()
  const rows = await sql<{ id: string; version: string }[]>`
    select id::text, version::text from orders where id = any (${[...ids]}::uuid[])`
  const toldUs = nowUs()
  for (const { id, version } of rows)
    record({ op: 'truth', row: id, at: Number(version), invokedUs: askedUs, completedUs: toldUs })
  const cached = await contestant.redis.mGet(rows.map(({ id }) => entityKey(id)))
  const [invokedUs, completedUs] = [toldUs + 1, Math.max(nowUs(), toldUs + 1)]
  const present = rows.flatMap(({ id: row }, index) => {
    const text = cached[index]
    return text === null || text === undefined ? [] : [{ row, at: (JSON.parse(text) as { version: number }).version }]
  })
  for (const { row, at } of present)
    record({ op: 'read', door: 'raw', key: `entity:${row}`, row, at, invokedUs, completedUs })
  return present.length
}
