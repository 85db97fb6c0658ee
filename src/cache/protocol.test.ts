import assert from 'node:assert/strict'
import test from 'node:test'

import { toLsn } from '../change/lsn.ts'
import { at, GONE, operation, protocolFixture, statusOf, value } from './protocol-fixture.ts'

void test('a warmed key holds the document behind its version, with the TTL of its view', async (t) => {
  const { redis, apply, view, get } = await protocolFixture(t)
  await apply('both', 10, operation(view('entity'), 'item:1', 10, value('NEW'), { xids: [700] }))
  assert.equal(await get('item:1'), `{"_v":"${view('entity').code}|e|000000000000000A|700","status":"NEW"}`)
  assert.equal(await redis.command('TTL', 'item:1'), 3600)
})

void test('a batch that continues from another position writes nothing and says what is stored', async (t) => {
  const { apply, tryApply, view, get, protocol } = await protocolFixture(t)
  await apply('both', 10, operation(view('entity'), 'item:1', 10, value('A')))
  const outcome = await tryApply(
    'both',
    { invalidator: at(9), warmer: at(9) },
    20,
    operation(view('entity'), 'item:1', 20, value('B')),
  )
  assert.deepEqual(outcome, { ok: false, stored: { invalidator: at(10), warmer: at(10) } })
  assert.equal(statusOf(await get('item:1')), 'A')
  assert.deepEqual(await protocol.positions(), { invalidator: at(10), warmer: at(10) })
})

void test('P3: an older change neither replaces nor deletes a newer value', async (t) => {
  const { apply, view, get } = await protocolFixture(t)
  await apply('both', 10, operation(view('entity'), 'item:1', 10, value('NEWER'), { lsn: 10 }))
  await apply('both', 11, operation(view('entity'), 'item:1', 11, value('OLDER'), { lsn: 5 }))
  await apply('both', 12, operation(view('entity'), 'item:1', 12, GONE, { lsn: 6 }))
  assert.equal(statusOf(await get('item:1')), 'NEWER')
})

void test('after a TRUNCATE nothing from before it is created, and everything after it is', async (t) => {
  const f = await protocolFixture(t)
  await f.apply(
    'both',
    10,
    operation(f.view('entity'), 'item:1', 10, value('A')),
    operation(f.view('hot'), 'hot:1', 10, value('A')),
  )
  const { removedKeys } = await f.protocol.truncate('entity', toLsn(20n))
  assert.equal(removedKeys, 1)
  await f.apply('both', 19, operation(f.view('entity'), 'item:2', 19, value('B')))
  assert.equal(await f.get('item:2'), null)
  await f.apply('both', 21, operation(f.view('entity'), 'item:3', 21, value('C')))
  assert.equal(statusOf(await f.get('item:3')), 'C')
})

void test('forget deletes the keys of its views, with their leases and absences, and no others', async (t) => {
  const f = await protocolFixture(t)
  await f.apply('both', 10, operation(f.view('entity'), 'item:1', 10, value('A')))
  for (const key of [
    'hot:1',
    'item:other:thing',
    '{item:1}:lease',
    '{item:2}:absent',
    '{item:2}:answered',
    '{hot:1}:lease',
  ])
    await f.redis.command('SET', key, 'x')
  const { removedKeys } = await f.protocol.forget(['entity'])
  assert.equal(removedKeys, 1)
  const left = (await f.redis.command('KEYS', '*')) as string[]
  assert.deepEqual(
    left.filter((key) => !key.startsWith('trackops:')).toSorted((a, b) => a.localeCompare(b)),
    ['hot:1', 'item:other:thing', '{hot:1}:lease', '{item:2}:answered'].toSorted((a, b) => a.localeCompare(b)),
  )
})

void test('a TRUNCATE that comes late leaves what later changes have made', async (t) => {
  const f = await protocolFixture(t)
  await f.apply('both', 10, operation(f.view('entity'), 'item:1', 10, value('older')))
  await f.apply('both', 30, operation(f.view('entity'), 'item:2', 30, value('newer')))
  const { removedKeys } = await f.protocol.truncate('entity', toLsn(20n))
  assert.equal(removedKeys, 1)
  assert.equal(await f.get('item:1'), null)
  assert.equal(statusOf(await f.get('item:2')), 'newer')
})

void test('a TRUNCATE that comes late leaves what a reader has filled since it was visible, and nothing from before', async (t) => {
  const f = await protocolFixture(t)
  const filled = (snapshot: string): string => `{"_v":"${f.view('entity').code}|r|${snapshot}","status":"FILLED"}`
  await f.redis.command('SET', 'item:1', filled('100:100:'))
  await f.redis.command('SET', 'item:2', filled('101:101:'))
  await f.redis.command('SET', 'item:3', filled('90:105:100,104'))
  await f.protocol.truncate('entity', toLsn(20n), 100n)
  assert.deepEqual(await Promise.all(['item:1', 'item:2', 'item:3'].map(async (key) => (await f.get(key)) !== null)), [
    false,
    true,
    false,
  ])
  await f.protocol.truncate('entity', toLsn(21n))
  assert.equal(await f.get('item:2'), null)
})

void test('P2: a new history takes fences with it, and leaves the marks of what was answered', async (t) => {
  const f = await protocolFixture(t)
  await f.apply('invalidate', 10, operation(f.view('entity'), 'item:1', 10, value('A')))
  await f.redis.command('SET', '{item:1}:answered', 'FFFFFFFFFFFFFFFF')
  await f.protocol.truncate('entity', toLsn(0xffffn))
  await f.protocol.forget([], { isHistoryNew: true })
  await f.protocol.reposition('invalidate', at(10), at(1, 'h2'))
  assert.equal(await f.redis.command('EXISTS', '{item:1}:fence', 'trackops:fence:entity'), 0)
  assert.equal(await f.redis.command('EXISTS', '{item:1}:answered'), 1)
})

void test('L1: a Redis that is full refuses the whole batch, and its position', async (t) => {
  const f = await protocolFixture(t)
  await f.redis.command('CONFIG', 'SET', 'maxmemory', '1')
  await assert.rejects(f.apply('both', 10, operation(f.view('entity'), 'item:1', 10, value('A'))), {
    code: 'REDIS_REFUSED',
  })
  await f.redis.command('CONFIG', 'SET', 'maxmemory', '0')
  assert.deepEqual(await f.protocol.positions(), { invalidator: null, warmer: null })
})

void test('a script that Redis has lost is loaded again', async (t) => {
  const f = await protocolFixture(t)
  await f.protocol.load()
  await f.redis.command('SCRIPT', 'FLUSH')
  await f.apply('both', 10, operation(f.view('entity'), 'item:1', 10, value('A')))
  assert.equal(statusOf(await f.get('item:1')), 'A')
})

void test('reposition is a compare and set', async (t) => {
  const { protocol } = await protocolFixture(t)
  assert.deepEqual(await protocol.reposition('warm', null, at(5)), { ok: true })
  assert.deepEqual(await protocol.reposition('warm', null, at(6)), { ok: false, stored: at(5) })
  assert.deepEqual(await protocol.positions(), { invalidator: null, warmer: at(5) })
})

void test('L2: after a forget the position is stored only in a Redis that still knows of it', async (t) => {
  for (const how of [{}, { isHistoryNew: true }]) {
    const f = await protocolFixture(t)
    await f.protocol.reposition('warm', null, at(5))
    const { raised } = await f.protocol.forget(['entity'], how)
    await f.redis.command('RENAME', raised.key, 'kept')
    assert.deepEqual(await f.protocol.reposition('warm', at(5), at(6, 'h2'), raised), { ok: false, stored: at(5) })
    await f.redis.command('RENAME', 'kept', raised.key)
    await f.protocol.forget(['entity'], how)
    assert.deepEqual(await f.protocol.reposition('warm', at(5), at(6, 'h2'), raised), { ok: true })
  }
})
