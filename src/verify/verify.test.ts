import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createDatabaseReads } from '../cache/database-read.ts'
import { at } from '../cache/protocol-fixture.ts'
import { readerFixture, type ReaderFixture } from '../cache/reader-fixture.ts'
import type { ListView, QueryView, RowView } from '../cache/view.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { inspectKey } from './inspect-key.ts'
import { reachedLsn } from './settle.ts'
import { isProven, stillSuspect, type Suspect } from './suspect.ts'
import { verifyCache, type VerifyDeps, type VerifyOptions, type VerifyReport } from './verify.ts'

/** Later than any position of a test's server. */
const FAR = at(Number.MAX_SAFE_INTEGER)

function verifying(
  fixture: ReaderFixture,
  deps: Partial<VerifyDeps> = {},
  options: Partial<VerifyOptions> = {},
): Promise<VerifyReport> {
  const { redis, sql, views } = fixture
  return verifyCache(
    {
      redis,
      timeoutMs: 5000,
      views,
      reads: createDatabaseReads({ sql }),
      reached: () => Promise.resolve(reachedLsn([FAR, FAR])),
      ...deps,
    },
    { signal: new AbortController().signal, ...options },
  )
}

/** Three rows, every view filled; an absence too. */
async function filled(fixture: ReaderFixture): Promise<void> {
  const { sql, reader, view } = fixture
  await sql`insert into items values ('1', 'ann', 'NEW', null), ('2', 'ann', 'OLD', null), ('3', 'bob', 'NEW', null)`
  for (const id of ['1', '2', '3', 'nobody']) await reader.get(view('entity').view as RowView, { id })
  for (const owner of ['ann', 'bob', 'eve']) await reader.list(view('by-owner').view as ListView, { owner })
  await reader.get(view('count').view as QueryView, { owner: 'ann' })
}

/** What was read keeps its version: only the document becomes another one. */
async function spoil(fixture: ReaderFixture, key: string, from: string, to: string): Promise<void> {
  const text = (await fixture.get(key)) ?? ''
  assert.ok(text.includes(from), `${key} holds ${from}`)
  await fixture.redis.command('SET', key, text.replace(from, to))
}

test('P1: a cache that equals the database is found to, every key of every view', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  const report = await verifying(fixture, {}, { batchKeys: 2 })
  assert.equal(report.staleKeys, 0)
  // 3 documents, 1 absence, 3 lists, 1 query
  assert.equal(report.checkedKeys, 8)
  assert.deepEqual(report.examples, [])
})

test('P1: every kind of difference is found and named', async (t) => {
  const fixture = await readerFixture(t)
  const { redis, sql } = fixture
  await filled(fixture)
  await spoil(fixture, 'item:1', 'NEW', 'SHIPPED')
  await spoil(fixture, 'count:ann', '"2"', '"3"')
  await redis.command('SET', 'item:99', ((await fixture.get('item:2')) ?? '').replace('"id":"2"', '"id":"99"'))
  await redis.command('HDEL', 'items:owner:ann', '2')
  await redis.command('HSET', 'items:owner:bob', '3', '{"id":"3","status":"GONE"}')
  await redis.command('HSET', 'items:owner:eve', '9', '{"id":"9","status":"NEW"}')
  await redis.command('SET', 'item:3', '{"id":"3"}')
  await redis.command('SET', 'items:owner:zoe', 'a string where a hash belongs')
  await sql`insert into items values ('nobody', null, 'NEW', null)`
  const report = await verifying(fixture)
  assert.deepEqual(Object.fromEntries(report.examples.map(({ key, kind }) => [key, kind])), {
    'item:1': 'stale',
    'count:ann': 'stale',
    'item:99': 'ghost',
    'items:owner:ann': 'hole',
    'items:owner:bob': 'stale',
    'items:owner:eve': 'ghost',
    'item:3': 'unreadable',
    'items:owner:zoe': 'unreadable',
    'item:nobody': 'stale-absent',
  })
  assert.deepEqual(report.byKind, { stale: 3, ghost: 2, hole: 1, unreadable: 2, 'stale-absent': 1 })
  assert.equal(report.staleKeys, 9)
})

test('an entry that other code of its view made is told, but is not stale', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  await spoil(fixture, 'item:1', fixture.view('entity').code, 'ffffffff')
  const report = await verifying(fixture)
  assert.deepEqual([report.staleKeys, report.otherCodeKeys], [0, 1])
})

test('a difference in flight is no stale key: the change arrives while it is looked at again', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  const changed = await fixture.change(`update items set status = 'SHIPPED' where id = '1'`)
  let looks = 0
  const report = await verifying(fixture, {
    async reached() {
      looks++
      // The consumer has passed nothing at the first look; the change is processed after the second.
      if (looks === 2) {
        const document = '{"id":"1","status":"SHIPPED"}'
        await fixture.process(changed, fixture.view('entity'), 'item:1', { kind: 'value', document })
        await fixture.redis.command('DEL', 'items:owner:ann')
      }
      return reachedLsn([at(1), at(1)])
    },
  })
  assert.deepEqual([report.staleKeys, report.unsettledKeys], [0, 0])
  assert.equal(looks, 2)
})

test('what the consumers have not passed counts as stale when the time is up, and not before', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  await spoil(fixture, 'item:1', 'NEW', 'SHIPPED')
  let looks = 0
  const positions = (): Promise<readonly string[]> => {
    looks++
    return Promise.resolve([at(1), FAR])
  }
  const report = await verifying(fixture, { reached: async () => reachedLsn(await positions()) }, { settleMs: 300 })
  assert.equal(report.staleKeys, 1)
  assert.ok(looks > 2, `looked ${looks} times`)
})

test('an entry that becomes another one at every look is in flight, not stale', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  await spoil(fixture, 'item:1', 'NEW', 'S0')
  let looks = 0
  const positions = async (): Promise<readonly string[]> => {
    await spoil(fixture, 'item:1', `S${looks}`, `S${++looks}`)
    return [FAR, FAR]
  }
  const report = await verifying(fixture, { reached: async () => reachedLsn(await positions()) }, { settleMs: 200 })
  assert.deepEqual([report.staleKeys, report.unsettledKeys], [0, 1])
})

test('a list that changes all the time is right if each member is equal now and then; a member that never is, is stale', async (t) => {
  const fixture = await readerFixture(t)
  await filled(fixture)
  const write = async (member: string, status: string): Promise<unknown> =>
    fixture.redis.command('HSET', 'items:owner:ann', member, JSON.stringify({ id: member, status }))
  await write('1', 'AHEAD')
  let looks = 0
  const positions = async (): Promise<readonly string[]> => {
    looks++
    await write('1', looks % 2 === 0 ? 'AHEAD' : 'NEW')
    await write('2', looks % 2 === 0 ? 'OLD' : 'AHEAD')
    return [FAR, FAR]
  }
  const moving = await verifying(fixture, { reached: async () => reachedLsn(await positions()) })
  assert.deepEqual([moving.staleKeys, moving.unsettledKeys], [0, 0])

  await write('1', 'STUCK')
  const stuck = await verifying(fixture, {
    async reached() {
      await write('2', `S${looks++}`)
      return reachedLsn([FAR, FAR])
    },
  })
  assert.deepEqual([stuck.staleKeys, stuck.unsettledKeys], [1, 0])
})

test('only an unchanged entry is proven stale, once every consumer has passed what the database showed', async (t) => {
  const { views } = await readerFixture(t)
  const part = { digest: 'v1', insertLsn: reachedLsn([at(100)]), sinceMs: 0, isUntouched: true }
  const suspect: Suspect = {
    view: views.byName('entity'),
    key: 'item:1',
    difference: 'stale',
    parts: new Map([['', part]]),
  }
  assert.equal(isProven(suspect, suspect, reachedLsn([at(100), at(100)])), true)
  assert.equal(isProven(suspect, suspect, reachedLsn([at(100), null])), true)
  assert.equal(isProven(suspect, suspect, reachedLsn([at(99), at(200)])), false)
  assert.equal(isProven(suspect, suspect, reachedLsn([null, null])), false)
  assert.equal(isProven(suspect, suspect, reachedLsn(['nonsense'])), false)
  const look = {
    view: suspect.view,
    key: suspect.key,
    verdict: { kind: 'different', difference: 'stale', members: [''] },
    digests: new Map([['', 'v2']]),
    insertLsn: reachedLsn([at(200)]),
  } as const
  const written = stillSuspect(suspect, look, 1)
  assert.ok(written)
  assert.equal(isProven(suspect, written, reachedLsn([FAR])), false)
  assert.equal(isProven(written, written, reachedLsn([at(199)])), false)
  assert.equal(isProven(written, written, reachedLsn([at(200)])), true)
  assert.equal(stillSuspect(suspect, { ...look, verdict: { kind: 'equal' } }, 1), undefined)
})

test('a key in inspection shows its value, version, lease, fence, mark, and whether the row agrees', async (t) => {
  const fixture = await readerFixture(t)
  const { redis, sql, views } = fixture
  await filled(fixture)
  const deps = { redis, timeoutMs: 5000, views, reads: createDatabaseReads({ sql }) }
  const good = await inspectKey(deps, 'item:1')
  assert.deepEqual(good.cached.value, { id: '1', status: 'NEW' })
  assert.deepEqual(good.row.value, { id: '1', status: 'NEW' })
  assert.equal(good.cached.version?.madeFrom, 'read')
  assert.equal(good.cached.version.isCurrentCode, true)
  assert.ok(good.cached.ttlSeconds !== null && good.cached.ttlSeconds > 3000)
  assert.notEqual(good.answered, null)
  assert.deepEqual([good.agrees, good.lease, good.fence, good.absent], [true, null, null, null])

  await redis.command('SET', '{item:1}:lease', 'reader-7;751;752;', 'PX', '5000')
  await redis.command('SET', '{item:1}:fence', '0000000001D2F3A8|0000000001D2F3A8/0000000001|+')
  await spoil(fixture, 'item:1', 'NEW', 'OLD')
  const bad = await inspectKey(deps, 'item:1')
  assert.deepEqual([bad.agrees, bad.verdict], [false, 'stale'])
  assert.deepEqual(bad.lease?.passedXids, ['751', '752'])
  assert.deepEqual([bad.fence?.lsn, bad.fence?.valueWasThere], ['0/1D2F3A8', true])

  const list = await inspectKey(deps, 'items:owner:ann')
  assert.deepEqual(list.cached.value, { 1: { id: '1', status: 'NEW' }, 2: { id: '2', status: 'OLD' } })
  assert.equal(list.agrees, true)
  const absent = await inspectKey(deps, 'item:nobody')
  assert.deepEqual([absent.cached.state, absent.row.state, absent.agrees], ['absent', 'absent', true])
  const nothing = await inspectKey(deps, 'cold:1')
  assert.deepEqual([nothing.cached.state, nothing.agrees, nothing.verdict], ['missing', null, 'not-cached'])
  await assert.rejects(
    inspectKey(deps, 'session:1'),
    (error) => error instanceof TrackOpsError && error.code === 'UNKNOWN_KEY',
  )
})
