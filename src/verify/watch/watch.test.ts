import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createDatabaseReads } from '../../cache/database-read.ts'
import { at } from '../../cache/protocol-fixture.ts'
import { readerFixture, type ReaderFixture } from '../../cache/reader-fixture.ts'
import type { ListView, RowView } from '../../cache/view.ts'
import { reachedLsn } from '../settle.ts'
import { createRecentKeys } from './key-sources.ts'
import { watchCache, type WatchDeps } from './watch.ts'
import type { WatchReport } from './watch-report.ts'

/** Later than any position of a test's server. */
const FAR = at(Number.MAX_SAFE_INTEGER)
const BOUND_MS = 60_000

interface Watching {
  /** Resolves to the first report that is as wanted; what was found until then is in `found`. */
  until(what: string, isWanted: (report: WatchReport) => boolean): Promise<WatchReport>
  /** By key: `kind (difference)`. */
  readonly found: Record<string, string>
}

async function watching(fixture: ReaderFixture, deps: Partial<WatchDeps> = {}): Promise<Watching> {
  const { redis, sql, views } = fixture
  const signal = AbortSignal.timeout(BOUND_MS)
  const reports = watchCache(
    {
      redis,
      timeoutMs: 5000,
      views,
      reads: createDatabaseReads({ sql }),
      reached: () => Promise.resolve(reachedLsn([FAR, FAR])),
      sql,
      ...deps,
    },
    { signal, rateKeysPerSecond: 5_000, intervalMs: 20 },
  )
  const found: Record<string, string> = {}
  const until: Watching['until'] = async (what, isWanted) => {
    for (;;) {
      const next = await reports.next()
      assert.ok(next.done !== true, `${what}; found so far: ${JSON.stringify(found)}`)
      for (const one of next.value.found) found[one.key] = `${one.kind} (${one.difference})`
      if (isWanted(next.value)) return next.value
    }
  }
  // What is said of rows is said of those that changed while it looked.
  await until('the first looks', ({ total }) => total.checkedKeys > 0)
  return { until, found }
}

async function filled(fixture: ReaderFixture): Promise<void> {
  const { sql, reader, view } = fixture
  await sql`insert into items (id, owner, status) values ('1', 'ann', 'NEW'), ('2', 'ben', 'NEW'), ('3', 'cat', 'NEW'),
    ('4', 'dan', 'NEW'), ('5', 'dan', 'NEW'), ('6', 'eve', 'NEW'), ('7', 'fay', 'NEW')`
  for (const id of ['1', '2', '3', '7', 'nobody']) await reader.get(view('entity').view as RowView, { id })
  for (const owner of ['ann', 'dan', 'eve']) await reader.list(view('by-owner').view as ListView, { owner })
}

async function spoil(fixture: ReaderFixture, key: string, from: string, to: string): Promise<void> {
  const text = (await fixture.get(key)) ?? ''
  assert.ok(text.includes(from), `${key} holds ${from}`)
  await fixture.redis.command('SET', key, text.replace(from, to))
}

test('P1: a watch looks at every key and at rows, and finds nothing in a cache that is right', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  const watch = await watching(fixture)
  const report = await watch.until('a thousand looks', ({ total }) => total.checkedKeys > 1_000)
  assert.deepEqual(report.total.violations, { stale: 0, wrong: 0, missing: 0 })
  assert.deepEqual([report.inFlightKeys, report.oldestDifferenceSeconds, watch.found], [0, null, {}])
  assert.ok(report.nines > 2.5 && report.nines < 4, `${report.nines}`)
})

test('P1: each kind of fault is found and named: stale, wrong, missing', async (t) => {
  const fixture = await readerFixture(t)
  const { redis, sql, view } = fixture
  await filled(fixture)
  const watch = await watching(fixture)
  // An old value with its old version: a change was lost. The list that holds it, too.
  await sql`update items set status = 'SHIPPED' where id = '1'`
  // Another value under a version that was read when the row was as it is.
  await spoil(fixture, 'item:2', 'NEW', 'OLD')
  // The value of a row that is deleted.
  await sql`delete from items where id = '3'`
  // Another value under the version of the very change that made the row.
  const changed = await fixture.change(`update items set status = 'PAID' where id = '7'`)
  const action = { kind: 'value', document: '{"id":"7","status":"UNPAID"}' } as const
  await fixture.process(changed, view('entity'), 'item:7', action)
  // A list that lacks a member, one with a ghost, and one that a new row did not reach.
  await redis.command('HDEL', 'items:owner:dan', '4')
  await redis.command('HSET', 'items:owner:eve', '66', '{"id":"66","status":"NEW"}')
  await sql`insert into items values ('nobody', 'ann', 'NEW', null), ('8', 'gus', 'NEW', null)`
  // What is none of ours: garbage, another type, a key in another spelling, a version of the future.
  await redis.command('SET', 'item:garbage', '\u0000\u0001{{{')
  await redis.command('HSET', 'item:list', '1', '{"id":"1"}')
  await redis.command('SET', 'items:owner:text', 'a string where a hash belongs')
  const future = `{"_v":"${view('entity').code}|e|7FFFFFFFFFFFFFFF|1","id":"4","status":"X"}`
  await redis.command('SET', 'item:4', future)

  const expected = {
    'item:1': 'stale (stale)',
    'item:2': 'wrong (stale)',
    'item:3': 'stale (ghost)',
    'item:7': 'wrong (stale)',
    'items:owner:ann': 'stale (hole)',
    'items:owner:dan': 'wrong (hole)',
    'items:owner:eve': 'stale (hole)',
    'item:nobody': 'stale (stale-absent)',
    'item:8': 'missing (missing)',
    'item:garbage': 'wrong (unreadable)',
    'item:list': 'wrong (unreadable)',
    'items:owner:text': 'wrong (unreadable)',
    'item:4': 'wrong (stale)',
  }
  const report = await watch.until('every fault', () => Object.keys(watch.found).length >= Object.keys(expected).length)
  assert.deepEqual(watch.found, expected)
  assert.equal(report.standingKeys, Object.keys(expected).length)
  assert.ok(report.nines < 2)

  // What is mended is no longer told, and what goes on standing counts at each look.
  await redis.command('UNLINK', ...Object.keys(expected), '{item:nobody}:absent')
  for (const id of ['1', '2', '4', '5', '6', '7', '8', 'nobody'])
    await fixture.reader.get(view('entity').view as RowView, { id })
  const mended = await watch.until('nothing that stands', ({ standingKeys }) => standingKeys === 0)
  assert.equal(mended.inFlightKeys, 0)
})

test('a difference in flight is no violation, however long, until the consumers have passed the change', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  let reached = at(1)
  const watch = await watching(fixture, { reached: () => Promise.resolve(reachedLsn([reached])) })
  const changed = await fixture.change(`update items set status = 'SHIPPED' where id = '2'`)
  await fixture.sql`insert into items values ('8', 'gus', 'NEW', null)`
  const inFlight = await watch.until(
    'both in flight',
    ({ inFlightKeys, total }) => inFlightKeys === 2 && total.checkedKeys > 500,
  )
  assert.deepEqual(inFlight.total.violations, { stale: 0, wrong: 0, missing: 0 })
  assert.ok(inFlight.oldestDifferenceSeconds !== null && inFlight.oldestDifferenceSeconds > 0)

  const action = { kind: 'value', document: '{"id":"2","status":"SHIPPED"}' } as const
  await fixture.process(changed, fixture.view('entity'), 'item:2', action)
  await watch.until('the processed one to be right', ({ inFlightKeys }) => inFlightKeys === 1)
  // Processed, say the positions; but the new row's key is not there.
  reached = FAR
  await watch.until('the other one', () => 'item:8' in watch.found)
  assert.deepEqual(watch.found, { 'item:8': 'missing (missing)' })
})

test('a key that was forgotten, or whose row did not change while the watch looked, is not missing', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  const watch = await watching(fixture)
  await fixture.sql`insert into items values ('8', 'gus', 'NEW', null)`
  await fixture.protocol.forget(['entity'])
  await watch.until('many looks', ({ total }) => total.checkedKeys > 2_000)
  // Rows 4 to 6 were never cached; they are older than the watch.
  assert.deepEqual(watch.found, {})
})

test('servers that are away interrupt a watch, and do not end it', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  const watch = await watching(fixture)
  await fixture.stopRedis()
  const away = await watch.until('an interruption', ({ interruptedBy }) => interruptedBy !== null)
  assert.equal(away.interruptedBy, 'REDIS_UNREACHABLE')
  await fixture.startRedis()
  const { total } = away
  await watch.until(
    'more looks',
    (report) => report.interruptedBy === null && report.total.checkedKeys > total.checkedKeys,
  )
  const ending = await watching(fixture)
  await fixture.sql`drop table items`
  // What will not pass by itself is somebody's to see.
  await assert.rejects(
    ending.until('an end', () => false),
    /public\.items/,
  )
})

test('the newest of the keys that consumers wrote are remembered, each is given once', async (t) => {
  const { view } = await readerFixture(t)
  const recent = createRecentKeys()
  for (let n = 0; n < 3_000; n++) recent.note([{ view: view('entity'), key: `item:${n}` }])
  recent.note(Array.from({ length: 1_000 }, (_, n) => ({ view: view('hot'), key: `hot:${n}` })))
  const given = new Set<string>()
  for (;;) {
    const some = await recent.next(64)
    if (some.length === 0) break
    for (const { keys } of some) for (const key of keys) given.add(key)
  }
  assert.equal(given.size, 1_000)
  assert.ok(given.has('item:2999') && !given.has('item:1999'))
  assert.equal([...given].filter((key) => key.startsWith('hot:')).length, 20)
})
