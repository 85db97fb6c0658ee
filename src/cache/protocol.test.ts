import assert from 'node:assert/strict'
import test from 'node:test'

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
