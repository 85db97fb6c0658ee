/** The rules of lua/apply.lua, one by one, on a real Redis. */
import assert from 'node:assert/strict'
import test from 'node:test'

import {
  at,
  GONE,
  INVALIDATE,
  member,
  members,
  operation,
  PREWARM,
  protocolFixture,
  type ProtocolFixture,
  REFILL,
  statusOf,
  value,
} from './protocol-fixture.ts'

/** An entry as a database read would leave it. */
async function putRead(
  { redis, view }: ProtocolFixture,
  name: string,
  key: string,
  snapshot: string,
  status: string,
): Promise<void> {
  await redis.command('SET', key, `{"_v":"${view(name).code}|r|${snapshot}","status":"${status}"}`)
}

async function putList(
  { redis, view }: ProtocolFixture,
  key: string,
  snapshot: string,
  ...fields: string[]
): Promise<void> {
  await redis.command(
    'HSET',
    key,
    '_v',
    `${view('by-owner').code}|r|${snapshot}`,
    ...fields.flatMap((id) => [id, `{"id":"${id}","status":"FILLED"}`]),
  )
}

async function memberStatus({ redis }: ProtocolFixture, key: string, field: string): Promise<string | null> {
  const text = await redis.command('HGET', key, field)
  return typeof text === 'string' ? statusOf(text) : null
}

void test('P1: a change replaces what was read before it and leaves what was read after it', async (t) => {
  const f = await protocolFixture(t)
  await putRead(f, 'entity', 'item:1', '100:200:150', 'READ')
  await f.apply('both', 10, operation(f.view('entity'), 'item:1', 10, value('VISIBLE'), { xids: [120] }))
  assert.equal(statusOf(await f.get('item:1')), 'READ', 'below xmax and not running: the read contains it')
  await f.apply('both', 11, operation(f.view('entity'), 'item:1', 11, value('RUNNING'), { xids: [150] }))
  assert.equal(statusOf(await f.get('item:1')), 'RUNNING', 'among the running ones: the read does not contain it')
  await putRead(f, 'entity', 'item:2', '100:200:', 'READ')
  await f.apply('both', 12, operation(f.view('entity'), 'item:2', 12, GONE, { xids: [200] }))
  assert.equal(await f.get('item:2'), null, 'at xmax: not contained')
})

void test('a snapshot with so many running transactions that the version is long is read to its end', async (t) => {
  const f = await protocolFixture(t)
  const running = Array.from({ length: 300 }, (_, index) => String(1000 + 2 * index)).join(',')
  await putRead(f, 'entity', 'item:1', `1000:5000:${running}`, 'READ')
  await f.apply('both', 10, operation(f.view('entity'), 'item:1', 10, value('VISIBLE'), { xids: [1597] }))
  assert.equal(statusOf(await f.get('item:1')), 'READ')
  await f.apply('both', 11, operation(f.view('entity'), 'item:1', 11, value('RUNNING'), { xids: [1598] }))
  assert.equal(statusOf(await f.get('item:1')), 'RUNNING')
})

void test('P3: apart, the invalidator leaves a fence below which the warmer creates nothing, until it has passed', async (t) => {
  const f = await protocolFixture(t)
  const { apply, view, redis } = f
  await apply('invalidate', 10, operation(view('entity'), 'item:1', 10, value('A')))
  await apply('invalidate', 20, operation(view('entity'), 'item:1', 20, value('B')))
  await apply('warm', 10, operation(view('entity'), 'item:1', 10, value('A')))
  assert.equal(await f.get('item:1'), null, 'the fence at 20 is newer than the change at 10')
  assert.equal(await redis.command('EXISTS', '{item:1}:fence'), 1)
  await apply('warm', 20, operation(view('entity'), 'item:1', 20, value('B')))
  assert.equal(statusOf(await f.get('item:1')), 'B')
  assert.equal(await redis.command('EXISTS', '{item:1}:fence'), 0)
})

void test('P3: a call for both minds a fence, unless both stood at one place: there the warmer has passed all', async (t) => {
  const f = await protocolFixture(t)
  const { apply, view } = f
  await apply('invalidate', 20, operation(view('entity'), 'item:1', 20, value('B')))
  await apply('both', 21, operation(view('entity'), 'item:1', 10, value('A')))
  assert.equal(await f.get('item:1'), null, 'the warmer stood before the fence')
  await apply('both', 22, operation(view('entity'), 'item:1', 15, value('LOWER')))
  assert.equal(statusOf(await f.get('item:1')), 'LOWER', 'a row inserted again may have the lower LSN')
})

void test('P3: a fence is never lowered', async (t) => {
  const f = await protocolFixture(t)
  await f.apply('invalidate', 10, operation(f.view('entity'), 'item:1', 10, value('A'), { lsn: 80 }))
  await f.apply('invalidate', 11, operation(f.view('entity'), 'item:1', 11, value('B'), { lsn: 70 }))
  assert.equal((await f.get('{item:1}:fence'))?.split('|')[0], '0000000000000050')
})

void test('each role is refused by its own position alone', async (t) => {
  const f = await protocolFixture(t)
  await f.apply('invalidate', 10)
  await f.apply('warm', 5)
  const stored = { invalidator: at(10), warmer: at(5) }
  assert.deepEqual(await f.tryApply('warm', { warmer: at(10) }, 20), { ok: false, stored })
  assert.deepEqual(await f.tryApply('invalidate', { invalidator: at(5) }, 20), { ok: false, stored })
  assert.deepEqual(await f.tryApply('both', { invalidator: at(10), warmer: at(10) }, 20), { ok: false, stored })
  assert.deepEqual(await f.tryApply('both', { invalidator: at(5), warmer: at(5) }, 20), { ok: false, stored })
  assert.deepEqual(await f.tryApply('warm', { warmer: at(5) }, 10), { ok: true, refill: [] })
})

void test('apart, an invalidator behind the warmer raises no fence and leaves the newer value', async (t) => {
  const f = await protocolFixture(t)
  await f.apply('warm', 20, operation(f.view('entity'), 'item:1', 20, value('B')))
  await f.apply('invalidate', 10, operation(f.view('entity'), 'item:1', 10, value('A')))
  await f.apply('invalidate', 20, operation(f.view('entity'), 'item:1', 20, value('B')))
  assert.equal(statusOf(await f.get('item:1')), 'B')
  assert.equal(await f.redis.command('EXISTS', '{item:1}:fence'), 0)
})

void test('a position of another history counts as not passed', async (t) => {
  const f = await protocolFixture(t)
  await f.protocol.reposition('warm', null, at(99, 'older-history'))
  await f.apply('invalidate', 10, operation(f.view('entity'), 'item:1', 10, value('A')))
  assert.equal(await f.redis.command('EXISTS', '{item:1}:fence'), 1)
})

void test('P2: after an answer from the database, no change at or below its mark creates an entry', async (t) => {
  const f = await protocolFixture(t)
  await f.redis.command('SET', '{item:1}:answered', '0000000000000014')
  await f.apply('both', 19, operation(f.view('entity'), 'item:1', 19, value('OLD')))
  assert.equal(await f.get('item:1'), null)
  await f.apply('both', 21, operation(f.view('entity'), 'item:1', 21, value('NEW')))
  assert.equal(statusOf(await f.get('item:1')), 'NEW')
})

void test('policy all: what a mark keeps a change from creating is filled by a read; what something newer keeps away is not', async (t) => {
  const f = await protocolFixture(t)
  await f.redis.command('SET', '{item:1}:answered', '0000000000000014')
  assert.deepEqual(await f.apply('both', 19, operation(f.view('entity'), 'item:1', 19, value('OLD'))), ['item:1'])
  await f.apply('invalidate', 40, operation(f.view('entity'), 'item:2', 40, value('NEW')))
  await f.redis.command('SET', '{item:2}:answered', '0000000000000030')
  assert.deepEqual(await f.apply('warm', 30, operation(f.view('entity'), 'item:2', 30, value('OLD'))), [])
})

void test('P1: deleted and inserted again with a lower LSN, the row that is there last is cached', async (t) => {
  // T2 inserts at 70 and waits in a unique index for T1, which deletes at 80 and commits first.
  const f = await protocolFixture(t)
  const { view, apply } = f
  await apply('both', 60, operation(view('entity'), 'item:1', 60, value('FIRST')))
  await apply('both', 90, operation(view('entity'), 'item:1', 90, value('AGAIN'), { lsn: 80, xids: [1, 2] }))
  assert.equal(statusOf(await f.get('item:1')), 'AGAIN', 'in one call: the greatest LSN, the last value')
  await apply('both', 91, operation(view('entity'), 'item:2', 91, value('FIRST'), { lsn: 60 }))
  await apply('both', 92, operation(view('entity'), 'item:2', 92, GONE, { lsn: 80 }))
  await apply('both', 93, operation(view('entity'), 'item:2', 93, value('AGAIN'), { lsn: 70 }))
  assert.equal(
    statusOf(await f.get('item:2')),
    'AGAIN',
    'in two calls: a deletion leaves nothing that could refuse the insert',
  )
})

void test('every transaction of an operation is noted in the lease, once', async (t) => {
  const f = await protocolFixture(t)
  await f.redis.command('SET', '{item:1}:lease', 'token;', 'PX', '60000')
  await f.apply('both', 10, operation(f.view('entity'), 'item:1', 10, value('A'), { xids: [7, 8] }))
  await f.apply('both', 11, operation(f.view('entity'), 'item:1', 11, GONE, { xids: [8, 9] }))
  assert.equal(await f.get('{item:1}:lease'), 'token;7;8;9;')
  assert.ok(Number(await f.redis.command('PTTL', '{item:1}:lease')) > 0, 'and it keeps its end')
})

void test('a lease that grew too long ends', async (t) => {
  const f = await protocolFixture(t)
  await f.redis.command('SET', '{item:1}:lease', `token;${'1;'.repeat(3000)}`)
  await f.apply('both', 10, operation(f.view('entity'), 'item:1', 10, value('A'), { xids: [7] }))
  assert.equal(await f.redis.command('EXISTS', '{item:1}:lease'), 0)
})

void test('policies: cached replaces what is there and creates nothing, none only deletes', async (t) => {
  const f = await protocolFixture(t)
  await f.apply(
    'both',
    10,
    operation(f.view('hot'), 'hot:1', 10, value('A')),
    operation(f.view('cold'), 'cold:1', 10, value('A')),
  )
  assert.deepEqual([await f.get('hot:1'), await f.get('cold:1')], [null, null])
  await putRead(f, 'hot', 'hot:1', '5:5:', 'READ')
  await putRead(f, 'cold', 'cold:1', '5:5:', 'READ')
  await f.apply(
    'both',
    11,
    operation(f.view('hot'), 'hot:1', 11, value('B')),
    operation(f.view('cold'), 'cold:1', 11, value('B')),
  )
  assert.deepEqual([statusOf(await f.get('hot:1')), await f.get('cold:1')], ['B', null])
})

void test('apart, what the invalidator took from a cached view the warmer brings back', async (t) => {
  const f = await protocolFixture(t)
  await putRead(f, 'hot', 'hot:1', '5:5:', 'READ')
  await f.apply(
    'invalidate',
    10,
    operation(f.view('hot'), 'hot:1', 10, value('A')),
    operation(f.view('hot'), 'hot:2', 10, value('A')),
  )
  assert.equal(await f.get('hot:1'), null)
  await f.apply(
    'warm',
    10,
    operation(f.view('hot'), 'hot:1', 10, value('A')),
    operation(f.view('hot'), 'hot:2', 10, value('A')),
  )
  assert.deepEqual([statusOf(await f.get('hot:1')), await f.get('hot:2')], ['A', null])
})

void test('L3: a partial row deletes the value; all asks for a fill, cached only where something was, none never', async (t) => {
  const f = await protocolFixture(t)
  for (const [name, key] of [
    ['entity', 'item:1'],
    ['hot', 'hot:1'],
    ['cold', 'cold:1'],
  ] as const)
    await putRead(f, name, key, '5:5:', 'READ')
  const partial = (key: string, name: string): ReturnType<typeof operation> => operation(f.view(name), key, 10, REFILL)
  const refill = await f.apply(
    'both',
    10,
    partial('item:1', 'entity'),
    partial('item:2', 'entity'),
    partial('hot:1', 'hot'),
    partial('hot:2', 'hot'),
    partial('cold:1', 'cold'),
  )
  assert.deepEqual(refill, ['item:1', 'item:2', 'hot:1'])
  assert.deepEqual([await f.get('item:1'), await f.get('hot:1'), await f.get('cold:1')], [null, null, null])
})

void test('a snapshot row asks for a fill where nothing is, and touches nothing', async (t) => {
  const f = await protocolFixture(t)
  await putRead(f, 'entity', 'item:1', '5:5:', 'READ')
  const refill = await f.apply(
    'both',
    10,
    operation(f.view('entity'), 'item:1', 10, PREWARM, { xids: [] }),
    operation(f.view('entity'), 'item:2', 10, PREWARM, { xids: [] }),
  )
  assert.deepEqual(refill, ['item:2'])
  assert.equal(statusOf(await f.get('item:1')), 'READ')
})

void test('P1: an absence ends with a change that its snapshot does not show, and stays with one that it shows', async (t) => {
  const f = await protocolFixture(t)
  for (const id of [1, 2]) await f.redis.command('SET', `{item:${id}}:absent`, `${f.view('entity').code}|r|100:100:`)
  await f.apply(
    'both',
    10,
    operation(f.view('entity'), 'item:1', 10, value('A'), { xids: [100] }),
    operation(f.view('entity'), 'item:2', 10, value('A'), { xids: [99] }),
  )
  assert.equal(statusOf(await f.get('item:1')), 'A')
  assert.equal(await f.redis.command('EXISTS', '{item:1}:absent'), 0)
  assert.equal(await f.get('item:2'), null)
  assert.equal(await f.redis.command('EXISTS', '{item:2}:absent'), 1)
})

void test('an entry of other code is replaced if it is older, else deleted', async (t) => {
  const f = await protocolFixture(t)
  await f.redis.command('SET', 'item:1', '{"_v":"00000000|e|0000000000000005|5","status":"OTHER"}')
  await f.redis.command('SET', 'item:2', '{"_v":"00000000|e|0000000000000050|5","status":"OTHER"}')
  await f.apply(
    'both',
    10,
    operation(f.view('entity'), 'item:1', 10, value('A')),
    operation(f.view('entity'), 'item:2', 10, value('A')),
  )
  assert.deepEqual([statusOf(await f.get('item:1')), await f.get('item:2')], ['A', null])
})

void test('whatever a stranger put at a key gives way to the next change', async (t) => {
  const f = await protocolFixture(t)
  await f.redis.command('SET', 'item:1', 'not JSON')
  await f.redis.command('SADD', 'item:2', 'a set')
  await f.redis.command('SET', 'item:3', '{"_v":"')
  await f.redis.command('SET', 'items:owner:ann', 'no hash')
  await f.redis.command('HSET', 'items:owner:bob', 'field', 'no version')
  const refill = await f.apply(
    'both',
    10,
    ...[1, 2, 3].map((id) => operation(f.view('entity'), `item:${id}`, 10, value('A'))),
    ...['ann', 'bob'].map((owner) =>
      operation(f.view('by-owner'), `items:owner:${owner}`, 10, members(member('1', 10, 'A'))),
    ),
  )
  for (const id of [1, 2, 3]) assert.equal(statusOf(await f.get(`item:${id}`)), 'A')
  assert.deepEqual(refill, ['items:owner:ann', 'items:owner:bob'])
  assert.equal(await f.redis.command('EXISTS', 'items:owner:ann', 'items:owner:bob'), 0)
})

void test('P1: members of a list are kept by their own versions, and by the snapshot that the list was filled from', async (t) => {
  const f = await protocolFixture(t)
  const key = 'items:owner:ann'
  const list = f.view('by-owner')
  await putList(f, key, '100:100:', '1', '2', '3')
  await f.apply(
    'both',
    10,
    operation(
      list,
      key,
      10,
      members(
        member('1', 9, 'SEEN', 99),
        member('2', 10, 'CHANGED', 100),
        member('3', 10, null, 100),
        member('4', 10, 'JOINED', 100),
      ),
      { xids: [99, 100] },
    ),
  )
  assert.deepEqual(
    [
      await memberStatus(f, key, '1'),
      await memberStatus(f, key, '2'),
      await memberStatus(f, key, '3'),
      await memberStatus(f, key, '4'),
    ],
    ['FILLED', 'CHANGED', null, 'JOINED'],
  )
  await f.apply('both', 11, operation(list, key, 11, members(member('2', 8, 'OLDER', 101))))
  assert.equal(await memberStatus(f, key, '2'), 'CHANGED')
  assert.equal(await f.redis.command('TTL', key), 3600)
})

void test('a list is never created by a change', async (t) => {
  const f = await protocolFixture(t)
  assert.deepEqual(
    await f.apply('both', 10, operation(f.view('by-owner'), 'items:owner:ann', 10, members(member('1', 10, 'A')))),
    [],
  )
  assert.equal(await f.redis.command('EXISTS', 'items:owner:ann'), 0)
})

void test('P3: apart, the invalidator deletes the whole list, and the warmer that comes by has it filled anew', async (t) => {
  const f = await protocolFixture(t)
  const key = 'items:owner:ann'
  const change = operation(f.view('by-owner'), key, 10, members(member('1', 10, 'A', 100)), { xids: [100] })
  await putList(f, key, '100:100:', '1')
  await f.apply('invalidate', 10, change)
  assert.equal(await f.redis.command('EXISTS', key), 0)
  assert.deepEqual(await f.apply('warm', 10, change), [key])
  assert.equal(await f.redis.command('EXISTS', `{${key}}:fence`), 0)
})

void test('apart, an invalidator behind the warmer leaves the list that the warmer has brought up to date', async (t) => {
  const f = await protocolFixture(t)
  const key = 'items:owner:ann'
  const change = operation(f.view('by-owner'), key, 10, members(member('1', 10, null, 100)), { xids: [100] })
  await putList(f, key, '100:100:', '1', '2')
  await f.apply('warm', 10, change)
  await f.apply('invalidate', 10, change)
  assert.deepEqual([await memberStatus(f, key, '1'), await memberStatus(f, key, '2')], [null, 'FILLED'])
})

void test('a query view is deleted by what its read did not show, and filled anew where it was there', async (t) => {
  const f = await protocolFixture(t)
  await putRead(f, 'count', 'count:ann', '100:100:', 'READ')
  await putRead(f, 'count', 'count:bob', '100:100:', 'READ')
  const refill = await f.apply(
    'both',
    10,
    operation(f.view('count'), 'count:ann', 10, REFILL, { xids: [100] }),
    operation(f.view('count'), 'count:bob', 10, REFILL, { xids: [99] }),
    operation(f.view('count'), 'count:eve', 10, REFILL, { xids: [100] }),
  )
  assert.deepEqual(refill, ['count:ann'])
  assert.notEqual(await f.get('count:bob'), null)
})

void test('L4: an invalidated key is gone, and asks for nothing', async (t) => {
  const f = await protocolFixture(t)
  await f.apply('both', 10, operation(f.view('entity'), 'item:1', 10, value('A')))
  assert.deepEqual(await f.apply('both', 11, operation(f.view('entity'), 'item:1', 11, INVALIDATE)), [])
  assert.equal(await f.get('item:1'), null)
})
