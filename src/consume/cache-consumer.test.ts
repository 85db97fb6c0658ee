import assert from 'node:assert/strict'
import { test } from 'node:test'

import { waitFor } from '../../test/support/wait-for.ts'
import type { TransactionPiece } from '../change/change-event.ts'
import { partial } from '../change/debezium/fixtures/build.ts'
import { lsnToFixedHex } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { at, cacheFixture, contents, row, runThrough, STREAM } from './cache-consumer-fixture.ts'
import type { CacheRole } from './cache-roles.ts'
import {
  contextOf,
  HISTORY,
  insert,
  ITEMS,
  LATER_HISTORY,
  lsn,
  place,
  progress,
  snapshot,
  sourceOf,
  transaction,
  truncate,
  update,
  visibilityOf,
} from './change-fixture.ts'
import { formatStoredPosition } from './stored-position.ts'
import type { StreamContext } from './stream-consumer.ts'

test('together or apart, one after the other in either order, the cache ends in the same state and at the same positions', async (t) => {
  const orders: readonly (readonly CacheRole[])[] = [
    ['together'],
    ['cache-invalidator', 'cache-warmer'],
    ['cache-warmer', 'cache-invalidator'],
  ]
  const ends: unknown[] = []
  for (const roles of orders) {
    const cache = await cacheFixture(t)
    // Both begin before either has done anything: who begins without a position forgets what is cached.
    for (const role of roles) await runThrough(cache.make(role), [])
    for (const role of roles) await runThrough(cache.make(role), STREAM)
    assert.deepEqual(await cache.protocol.positions(), { invalidator: at(70), warmer: at(70) })
    ends.push(await contents(cache.redis))
  }
  assert.match(JSON.stringify(ends[0]), /PAID.*LAST/)
  assert.deepEqual(Object.keys(ends[0] as object), ['item:1', 'item:3'])
  assert.deepEqual(ends[1], ends[0])
  assert.deepEqual(ends[2], ends[0])
})

test('apart at the same time, over one stream each, they end where one that is both ends', async (t) => {
  const cache = await cacheFixture(t)
  const context = contextOf()
  const run = (role: CacheRole): Promise<void> => {
    const { source, end } = sourceOf(...STREAM)
    end()
    return cache.make(role, { changesPerCall: 1 }).run(source, context, new AbortController().signal)
  }
  await Promise.all([run('cache-invalidator'), run('cache-warmer')])
  const both = await cacheFixture(t)
  await runThrough(both.make('together'), STREAM)
  assert.deepEqual(await contents(cache.redis), await contents(both.redis))
})

test('one loop takes over from two that stood apart: each part does what it has not done, and then they go together', async (t) => {
  const cache = await cacheFixture(t)
  await runThrough(cache.make('cache-invalidator'), STREAM.slice(0, 5))
  await runThrough(cache.make('cache-warmer'), STREAM.slice(0, 2))
  assert.deepEqual(await cache.protocol.positions(), { invalidator: at(41), warmer: at(21) })
  const consumer = cache.make('together', { fsyncWindowMs: 0 })
  cache.applied.length = 0
  await runThrough(consumer, STREAM)
  assert.deepEqual(await cache.protocol.positions(), { invalidator: at(70), warmer: at(70) })
  const lsns = cache.applied.map((reached) => reached.lsn)
  assert.deepEqual(lsns, [lsn(21), lsn(41), lsn(70)], 'L1: never beyond the one that is behind')
  const both = await cacheFixture(t)
  await runThrough(both.make('together'), STREAM)
  assert.deepEqual(await contents(cache.redis), await contents(both.redis))
})

test('redelivery changes nothing, and the stream is continued behind the stored position', async (t) => {
  const cache = await cacheFixture(t)
  await runThrough(cache.make('together'), STREAM.slice(0, 2))
  const again = cache.make('together')
  await runThrough(again, STREAM, { resumeLsn: lsn(5) })
  assert.equal(await cache.status('1'), 'PAID')
  assert.equal(again.status().processedCount, 7, 'only what was not processed before')
  assert.deepEqual(again.status().appliedPosition, place(70))
})

test('P3: a stream that breaks and brings again what the consumer had not come to leaves no older state behind', async (t) => {
  const cache = await cacheFixture(t)
  const brought = [
    transaction(10, [insert(row('1', 'NEW'))]),
    transaction(20, [update(row('1', 'NEW'), row('1', 'PAID'))]),
  ]
  // The last of them is in another call than the first time, with a position that has been reached.
  await runThrough(cache.make('together', { changesPerCall: 3 }), [...brought, ...brought])
  assert.equal(await cache.status('1'), 'PAID')
})

test('P3: a topic in which a connector sends transactions again, as pieces, holds no older state afterwards', async (t) => {
  const cache = await cacheFixture(t)
  const atOffset = (piece: TransactionPiece, offset: number, isWhole = true): TransactionPiece => ({
    ...piece,
    isWhole,
    changes: piece.changes.map((change) => ({ ...change, position: place(offset, 1) })),
    endLsn: lsn(offset + 1),
  })
  const made = transaction(10, [insert(row('1', 'NEW'))])
  const paid = transaction(20, [update(row('1', 'NEW'), row('1', 'PAID'))])
  const topic = [atOffset(made, 1), atOffset(paid, 2), atOffset(made, 3, false), atOffset(paid, 4)]
  await runThrough(cache.make('together', { changesPerCall: 3 }), topic)
  assert.equal(await cache.status('1'), 'PAID')
})

test('L1: what was applied is durable only when the fsync window has passed, and nothing of an earlier run is', async (t) => {
  const cache = await cacheFixture(t)
  const consumer = cache.make('together', { fsyncWindowMs: 60_000 })
  assert.equal(consumer.durableLsn(), null)
  await runThrough(consumer, STREAM)
  assert.equal(consumer.durableLsn(), null)
  const prompt = cache.make('together', { fsyncWindowMs: 0 })
  await runThrough(prompt, STREAM)
  assert.equal(prompt.durableLsn(), lsn(70))
  const { source } = sourceOf()
  const aborter = new AbortController()
  const running = prompt.run(source, contextOf({ history: LATER_HISTORY }), aborter.signal)
  assert.equal(prompt.durableLsn(), null, 'it begins with nothing')
  aborter.abort()
  await running.catch(() => undefined)
})

test('L2: a Redis that is emptied while nothing happens is noticed', async (t) => {
  const cache = await cacheFixture(t)
  const { source } = sourceOf(...STREAM)
  const running = cache.make('together').run(source, contextOf(), new AbortController().signal)
  running.catch(() => undefined)
  await waitFor(() => cache.applied.at(-1)?.lsn === lsn(70), { what: 'the stream to be applied' })
  await cache.redis.command('FLUSHALL')
  await assert.rejects(running, { code: 'POSITION_MISMATCH' })
})

test('L2: a Redis that fell back is rewound where the log reaches back, so that the cache is right again', async (t) => {
  const cache = await cacheFixture(t)
  const consumer = cache.make('together')
  await runThrough(consumer, STREAM.slice(0, 1))
  const dump = (await cache.redis.command('GET', 'item:1')) as string
  await runThrough(consumer, STREAM)
  for (const who of ['cache-invalidator', 'cache-warmer']) {
    await cache.redis.command('SET', `trackops:position:${who}`, at(11))
  }
  await cache.redis.command('SET', 'item:1', dump)
  await cache.redis.command('DEL', 'item:3')
  await runThrough(consumer, STREAM, { resumeLsn: lsn(5) })
  assert.deepEqual([await cache.status('1'), await cache.status('3')], ['PAID', 'LAST'])
  assert.deepEqual(await cache.protocol.positions(), { invalidator: at(70), warmer: at(70) })
})

test('L2: where the log no longer reaches back, or the history is another, what is cached is forgotten', async (t) => {
  for (const context of [{ resumeLsn: lsn(100) }, { history: LATER_HISTORY }]) {
    const cache = await cacheFixture(t)
    await runThrough(cache.make('together'), STREAM)
    assert.equal(await cache.status('1'), 'PAID')
    await cache.redis.command('SET', '{item:9}:fence', `${'F'.repeat(16)}||`)
    await runThrough(cache.make('together'), [], context)
    assert.deepEqual([await cache.status('1'), await cache.status('3')], [null, null])
    const { history = HISTORY, resumeLsn = lsn(0) } = context as Partial<StreamContext>
    const begin = formatStoredPosition(history, { commitLsn: resumeLsn, ordinal: 0 })
    assert.deepEqual(await cache.protocol.positions(), { invalidator: begin, warmer: begin })
    const fences = await cache.redis.command('EXISTS', '{item:9}:fence')
    assert.equal(fences, 0, 'F: nobody would take it away')
  }
})

test('P2: where consumers begin anew, a change creates nothing older than what was answered while they were away', async (t) => {
  const cache = await cacheFixture(t)
  await runThrough(cache.make('together'), STREAM)
  // A reader saw the change at 120 in the database before the consumers came to the one at 110.
  await cache.redis.command('SET', '{item:9}:answered', lsnToFixedHex(lsn(125)))
  const older = transaction(110, [insert(row('9', 'OLD')), insert(row('8', 'OLD'))])
  await runThrough(cache.make('together'), [older], { history: LATER_HISTORY, resumeLsn: lsn(100) })
  assert.deepEqual([await cache.status('9'), await cache.status('8')], [null, 'OLD'])
  assert.deepEqual(cache.refilled.slice(-1), ['item:9'], 'a read tells what is newest')
})

test('in a new history the second of two that are apart leaves the fences that the first has raised since', async (t) => {
  const cache = await cacheFixture(t)
  for (const role of ['cache-invalidator', 'cache-warmer'] as const) await runThrough(cache.make(role), STREAM)
  await runThrough(cache.make('cache-invalidator'), STREAM, { history: LATER_HISTORY })
  assert.equal(await cache.redis.command('EXISTS', '{item:1}:fence'), 1)
  await runThrough(cache.make('cache-warmer'), [], { history: LATER_HISTORY })
  assert.equal(await cache.redis.command('EXISTS', '{item:1}:fence'), 1)
})

test('L4: a view that throws becomes a dead letter, its key is invalidated, and the others are applied', async (t) => {
  const cache = await cacheFixture(t)
  await runThrough(cache.make('together'), [transaction(10, [insert(row('1', 'NEW')), insert(row('2', 'NEW'))])])
  await runThrough(cache.make('together'), [
    transaction(10, [insert(row('1', 'NEW')), insert(row('2', 'NEW'))]),
    transaction(20, [update(row('1', 'NEW'), row('1', 'poison')), update(row('2', 'NEW'), row('2', 'PAID'))]),
    transaction(30, [insert(row('3', 'NEW'))]),
  ])
  assert.deepEqual([await cache.status('1'), await cache.status('2'), await cache.status('3')], [null, 'PAID', 'NEW'])
  const [letter, ...more] = cache.letters
  assert.deepEqual(more, [])
  assert.deepEqual(letter?.subject, { kind: 'keys', keys: [{ view: 'entity', key: 'item:1' }] })
  assert.deepEqual(
    [letter?.consumer, letter?.source, letter?.errorCode],
    ['cache-warmer', 'public.items > entity', 'VIEW_FAILED'],
  )
  assert.doesNotMatch(JSON.stringify(letter), /secret/)
})

test('a TRUNCATE empties its views; what was written before it in the same call stays away, what came after it is there', async (t) => {
  const cache = await cacheFixture(t)
  await runThrough(cache.make('together'), [
    transaction(10, [insert(row('1', 'NEW'))]),
    transaction(20, [insert(row('2', 'NEW'))]),
    transaction(30, [truncate()]),
    transaction(40, [insert(row('2', 'AGAIN'))]),
  ])
  assert.deepEqual([await cache.status('1'), await cache.status('2')], [null, 'AGAIN'])
})

test('P3: apart, a change that cannot name its key forgets the view, and a warmer that lags brings nothing older back', async (t) => {
  const cache = await cacheFixture(t)
  const nameless = transaction(20, [(head) => ({ op: 'd', ...head, relation: ITEMS, before: partial(ITEMS) })])
  const older = transaction(10, [insert(row('1', 'OLD'))])
  const newer = transaction(30, [insert(row('2', 'NEW'))])
  await runThrough(cache.make('cache-invalidator'), [older, nameless])
  await runThrough(cache.make('cache-warmer'), [older])
  assert.equal(await cache.status('1'), null, 'the row that is gone may be this one')
  await runThrough(cache.make('cache-warmer'), [older, nameless, newer])
  assert.equal(await cache.status('2'), 'NEW')
})

test('P1: behind a new slot nothing is forgotten or filled before readers see all that comes by no event', async (t) => {
  const cache = await cacheFixture(t)
  const ended = Promise.withResolvers<void>()
  let isAsked = false
  const visibility: StreamContext['visibility'] = {
    ...visibilityOf(),
    waitForAll: () => {
      isAsked = true
      return ended.promise
    },
  }
  const { source, end } = sourceOf()
  const running = cache
    .make('together')
    .run(
      source,
      contextOf({ visibility, visibleBefore: { xmin: 3n, xmax: 3n, running: new Set() } }),
      new AbortController().signal,
    )
  await waitFor(() => isAsked, { what: 'the consumer to ask' })
  assert.deepEqual(await cache.protocol.positions(), { invalidator: null, warmer: null }, 'readers trust no such Redis')
  ended.resolve()
  end()
  await running
  assert.deepEqual(await cache.protocol.positions(), { invalidator: at(0), warmer: at(0) })
})

test('snapshot rows order a refill, for policy all, and are no value themselves', async (t) => {
  const cache = await cacheFixture(t)
  await runThrough(cache.make('together'), [snapshot(5, [row('1', 'OLD'), row('2', 'OLD')])], { resumeLsn: lsn(5) })
  assert.deepEqual(cache.refilled, ['item:1', 'item:2'])
  assert.deepEqual([await cache.status('1'), await cache.status('2')], [null, null])
})

test('pieces of a transaction that is too large to hold invalidate and refill: states that nobody could see are never cached', async (t) => {
  const cache = await cacheFixture(t)
  const seen: (string | null)[] = []
  const { source, push, end } = sourceOf(transaction(10, [insert(row('1', 'BEFORE'))]))
  const running = cache.make('together').run(source, contextOf(), new AbortController().signal)
  await waitFor(() => cache.applied.at(-1)?.lsn === lsn(11), { what: 'the first transaction' })
  seen.push(await cache.status('1'))
  push(transaction(20, [update(row('1', 'BEFORE'), row('1', 'HALFWAY'))], { isLast: false }))
  await waitFor(() => cache.applied.at(-1)?.lsn === lsn(20), { what: 'the piece' })
  seen.push(await cache.status('1'))
  push(transaction(20, [update(row('1', 'HALFWAY'), row('1', 'AFTER'))], { firstOrdinal: 2 }))
  end()
  await running
  seen.push(await cache.status('1'))
  assert.deepEqual(seen, ['BEFORE', null, null])
  assert.deepEqual(cache.refilled, ['item:1', 'item:1'])
})

test('no change is processed before its transaction is visible to readers', async (t) => {
  const cache = await cacheFixture(t)
  const becomesVisible = Promise.withResolvers<void>()
  const visibility = {
    ...visibilityOf(),
    async wait(xids: readonly number[]) {
      if (xids.includes(20)) await becomesVisible.promise
      return new Map(xids.map((xid) => [xid, BigInt(xid)]))
    },
  }
  const { source, end, push } = sourceOf(STREAM[0] ?? progress(0))
  const running = cache.make('together').run(source, contextOf({ visibility }), new AbortController().signal)
  await waitFor(() => cache.applied.at(-1)?.lsn === lsn(11), { what: 'the first transaction' })
  push(...STREAM.slice(1))
  end()
  assert.equal(await cache.status('1'), 'NEW')
  becomesVisible.resolve()
  await running
  assert.equal(await cache.status('1'), 'PAID')
})

test('L6: a Redis that is away is waited out, with the reason in the status, and nothing is lost', async (t) => {
  const cache = await cacheFixture(t)
  const consumer = cache.make('together')
  const { source, push, end } = sourceOf(...STREAM.slice(0, 2))
  const running = consumer.run(source, contextOf(), new AbortController().signal)
  await waitFor(() => cache.applied.at(-1)?.lsn === lsn(21), { what: 'the first changes' })
  await cache.server.stop()
  push(...STREAM.slice(2))
  await waitFor(() => consumer.status().state === 'waiting', { what: 'it to wait' })
  assert.match(consumer.status().reason ?? '', /REDIS_UNREACHABLE/)
  await cache.server.start()
  end()
  await running
  assert.deepEqual(await cache.protocol.positions(), { invalidator: at(70), warmer: at(70) })
  assert.deepEqual([await cache.status('1'), await cache.status('3')], ['PAID', 'LAST'])
})

test('L6: a Redis that refuses what is written is waited out, too', async (t) => {
  const cache = await cacheFixture(t)
  const consumer = cache.make('together')
  const { source, push, end } = sourceOf(...STREAM.slice(0, 2))
  const running = consumer.run(source, contextOf(), new AbortController().signal)
  await waitFor(() => cache.applied.at(-1)?.lsn === lsn(21), { what: 'the first changes' })
  await cache.redis.command('CONFIG', 'SET', 'maxmemory', '1')
  // A call whose first write deletes would go through: Redis does not stop a script halfway.
  push(transaction(30, [insert(row('3', 'NEW'))]))
  await waitFor(() => consumer.status().state === 'waiting', { what: 'it to wait' })
  assert.match(consumer.status().reason ?? '', /OOM/)
  await cache.redis.command('CONFIG', 'SET', 'maxmemory', '0')
  end()
  await running
  assert.equal(await cache.status('3'), 'NEW')
})

test('somebody else who owns the position fences this consumer off', async (t) => {
  const cache = await cacheFixture(t)
  const { source, push } = sourceOf(...STREAM.slice(0, 2))
  const running = cache.make('together').run(source, contextOf(), new AbortController().signal)
  running.catch(() => undefined)
  await waitFor(() => cache.applied.at(-1)?.lsn === lsn(21), { what: 'the first changes' })
  await cache.redis.command('SET', 'trackops:position:cache-warmer', at(500))
  push(...STREAM.slice(2))
  await assert.rejects(running, { code: 'POSITION_MISMATCH' })
  assert.equal(await cache.status('3'), null)
})

test('an abort ends it promptly: while it waits for changes, and while Redis is away', async (t) => {
  const cache = await cacheFixture(t)
  const idle = new AbortController()
  const waiting = cache.make('together').run(sourceOf().source, contextOf(), idle.signal)
  await waitFor(() => cache.applied.length > 0, { what: 'the start' })
  idle.abort()
  await waiting

  const aborter = new AbortController()
  const consumer = cache.make('together')
  const { source, push } = sourceOf()
  const running = consumer.run(source, contextOf(), aborter.signal)
  running.catch(() => undefined)
  await waitFor(() => cache.applied.length > 1, { what: 'the second start' })
  await cache.server.stop()
  push(...STREAM)
  await waitFor(() => consumer.status().state === 'waiting', { what: 'it to wait' })
  aborter.abort()
  await assert.rejects(running, { code: 'REDIS_UNREACHABLE' })
  assert.equal(consumer.status().state, 'stopped')
})

test('what makes the stream begin anew, or can never succeed, ends the run', async (t) => {
  const cache = await cacheFixture(t)
  for (const error of [new TrackOpsError('HISTORY_CHANGED', 'another history'), new RangeError('never')]) {
    const visibility = { ...visibilityOf(), wait: () => Promise.reject(error) }
    await assert.rejects(runThrough(cache.make('together'), STREAM, { visibility }), error)
  }
})
