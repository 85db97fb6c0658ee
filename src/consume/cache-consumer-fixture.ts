/** For the tests of the cache consumers: a Redis, two views over one table, and a stream that touches both. */
import { defer, type TestScope } from '../../test/support/defer.ts'
import { type TestRedis, testRedis } from '../../test/support/redis.ts'
import { compileViews } from '../cache/compiled-view.ts'
import { createPlanner } from '../cache/plan.ts'
import { connectRedis, type RawRedis } from '../cache/protocol-fixture.ts'
import { type CacheProtocol, createCacheProtocol, type RefillKey } from '../cache/protocol.ts'
import { listView, rowView, type View } from '../cache/view.ts'
import type { StreamItem } from '../change/change-event.ts'
import type { DeadLetter } from '../log/dead-letters.ts'
import { SILENT } from '../runtime/logger.ts'
import { type Applied, type CacheConsumerOptions, createCacheConsumer } from './cache-consumer.ts'
import type { CacheRole } from './cache-roles.ts'
import { contextOf, HISTORY, insert, place, progress, remove, sourceOf, transaction, update } from './change-fixture.ts'
import { formatStoredPosition } from './stored-position.ts'
import type { StreamContext } from './stream-consumer.ts'

const VIEWS: readonly View[] = [
  rowView({
    name: 'entity',
    key: 'item:{id}',
    table: 'public.items',
    columns: ['id', 'status'],
    ttlSeconds: 3600,
    warm: 'all',
    document({ id, status }) {
      if (status === 'poison') throw new Error('secret')
      return { id: id ?? null, status: status ?? null }
    },
  }),
  listView({
    name: 'by-owner',
    key: 'items:owner:{owner}',
    table: 'public.items',
    columns: ['id', 'owner', 'status'],
    member: 'id',
    ttlSeconds: 3600,
    warm: 'cached',
    document: ({ status }) => ({ status: status ?? null }),
  }),
]

export interface CacheFixture {
  readonly server: TestRedis
  readonly redis: RawRedis
  readonly protocol: CacheProtocol
  readonly refilled: string[]
  readonly letters: DeadLetter[]
  readonly applied: Applied[]
  /** The status in the document at the key; null where there is none. */
  readonly status: (id: string) => Promise<string | null>
  readonly make: (role: CacheRole, options?: CacheConsumerOptions) => ReturnType<typeof createCacheConsumer>
}

export async function cacheFixture(t: TestScope): Promise<CacheFixture> {
  const server = await testRedis(t)
  const redis = await connectRedis(t, server.url)
  const views = compileViews(VIEWS)
  const protocol = createCacheProtocol({ redis, log: SILENT }, { views })
  defer(t, () => protocol.close())
  const refilled: string[] = []
  const letters: DeadLetter[] = []
  const applied: Applied[] = []
  return {
    server,
    redis,
    protocol,
    refilled,
    letters,
    applied,
    async status(id) {
      const text = await redis.command('GET', `item:${id}`)
      return typeof text === 'string' ? String((JSON.parse(text) as { status: unknown }).status) : null
    },
    make: (role, options = {}) =>
      createCacheConsumer(
        {
          role,
          protocol,
          planner: createPlanner(views),
          viewNames: views.all.map(({ name }) => name),
          refill: (keys: readonly RefillKey[]) => Promise.resolve(void refilled.push(...keys.map(({ key }) => key))),
          setAside: (more) => Promise.resolve(void letters.push(...more)),
          log: SILENT,
          onApplied: (reached) => applied.push(reached),
        },
        options,
      ),
  }
}

export async function runThrough(
  consumer: ReturnType<typeof createCacheConsumer>,
  items: readonly StreamItem[],
  context: Partial<StreamContext> = {},
): Promise<void> {
  const { source, end } = sourceOf(...items)
  end()
  await consumer.run(source, contextOf(context), new AbortController().signal)
}

export const at = (number: number): string => formatStoredPosition(HISTORY, place(number))
export const row = (id: string, status: string, owner = 'o') => ({ id, owner, status })

/** Everything that Redis holds, but for what says how it came there. */
export async function contents(redis: RawRedis): Promise<Record<string, unknown>> {
  const keys = ((await redis.command('KEYS', '*')) as string[]).toSorted()
  const found: Record<string, unknown> = {}
  for (const key of keys) {
    if (key.startsWith('trackops:')) continue
    const type = await redis.command('TYPE', key)
    found[key] = type === 'hash' ? await redis.command('HGETALL', key) : await redis.command('GET', key)
  }
  return found
}

export const STREAM: readonly StreamItem[] = [
  transaction(10, [insert(row('1', 'NEW')), insert(row('2', 'NEW'))]),
  transaction(20, [update(row('1', 'NEW'), row('1', 'PAID'))]),
  progress(25),
  transaction(30, [remove(row('2', 'NEW')), insert(row('3', 'NEW'))]),
  transaction(40, [update(row('3', 'NEW'), row('3', 'MOVED', 'p')), update(row('3', 'MOVED', 'p'), row('3', 'LAST'))]),
  transaction(50, [insert(row('4', 'A')), insert(row('5', 'A'))], { isLast: false }),
  transaction(50, [update(row('4', 'A'), row('4', 'B'))], { firstOrdinal: 3 }),
  progress(70),
]
