/** P2 after Redis lost writes: the marks of answers are lost with the rest, while consumers still lag. */
import assert from 'node:assert/strict'
import test from 'node:test'

import { waitFor } from '../../test/support/wait-for.ts'
import { lsnToFixedHex } from '../change/lsn.ts'
import { at, statusOf } from './protocol-fixture.ts'
import { readerFixture, type ReaderFixture } from './reader-fixture.ts'
import type { RunningCacheReader } from './create-cache-reader.ts'
import { rowView } from './view.ts'
import { writeFresh } from './writes.ts'

const ITEM = rowView({
  name: 'item',
  key: 'item:{id}',
  table: 'public.items',
  ttlSeconds: 60,
  warm: 'all',
  columns: ['id', 'status'],
  document: ({ id, status }) => ({ id: id ?? null, status: status ?? null }),
})
const KEY = { id: '1' }
const [VALUE, MARK, LEASE] = ['item:1', '{item:1}:answered', '{item:1}:lease']

async function itemFixture(t: test.TestContext): Promise<ReaderFixture> {
  const f = await readerFixture(t, { definitions: [ITEM] })
  await f.sql`insert into items values ('1', 'ann', 'A', null)`
  assert.equal((await f.reader.get(ITEM, KEY)).value?.['status'], 'A')
  return f
}

/** Redis goes down, and comes back as it was before `meanwhile`; its positions never moved. */
async function fallBack(f: ReaderFixture, meanwhile: () => Promise<void>): Promise<void> {
  const before = String(await f.get(VALUE))
  await meanwhile()
  await f.redis.command('UNLINK', MARK, LEASE)
  await f.redis.command('SET', VALUE, before)
  await f.stopRedis()
  await f.startRedis()
  await waitFor(() => f.redis.isReady, { what: 'the connection' })
}

const trusted = (reader: RunningCacheReader): Promise<unknown> =>
  waitFor(() => reader.isRedisTrusted(), { what: 'trust' })

void test('P2 L2: a reader that answered from the database before the loss does not answer the older entry after it', async (t) => {
  const f = await itemFixture(t)
  await fallBack(f, async () => {
    const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'B' where id = '1'`)
    assert.equal((await f.reader.get(ITEM, KEY, { token })).value?.['status'], 'B')
  })
  await trusted(f.reader)
  assert.equal(statusOf(await f.get(VALUE)), 'A', 'no consumer has come by')
  assert.deepEqual(await f.reader.get(ITEM, KEY), { value: { id: '1', status: 'B' }, source: 'bypass' })
  assert.equal(statusOf(await f.get(VALUE)), 'B', 'for all the others as well')
  assert.equal((await f.reader.get(ITEM, KEY)).source, 'hit')
})

void test('P2 L2: nor does one whom another process told of it, by what that had stored', async (t) => {
  const f = await itemFixture(t)
  const another = await f.anotherReader()
  await trusted(another)
  await fallBack(f, async () => {
    const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'B' where id = '1'`)
    await f.reader.get(ITEM, KEY, { token })
    assert.deepEqual(await another.get(ITEM, KEY), { value: { id: '1', status: 'B' }, source: 'hit' })
  })
  await trusted(another)
  assert.equal((await another.get(ITEM, KEY)).value?.['status'], 'B')
})

void test('P2 L2: what is created meanwhile from a change before the loss is not answered, one from behind it is', async (t) => {
  const f = await itemFixture(t)
  const old = await f.change(`update items set status = 'B' where id = '1'`)
  await fallBack(f, async () => {
    const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'C' where id = '1'`)
    assert.equal((await f.reader.get(ITEM, KEY, { token })).value?.['status'], 'C')
  })
  await trusted(f.reader)
  await f.process(old, f.view('item'), VALUE, { kind: 'value', document: '{"id":"1","status":"B"}' })
  assert.equal(statusOf(await f.get(VALUE)), 'B')
  assert.equal((await f.reader.get(ITEM, KEY)).value?.['status'], 'C')
  const young = await f.change(`update items set status = 'D' where id = '1'`)
  await f.process(young, f.view('item'), VALUE, { kind: 'value', document: '{"id":"1","status":"D"}' })
  assert.match(String(await f.get(VALUE)), new RegExp(lsnToFixedHex(young.lsn)))
  assert.deepEqual(await f.reader.get(ITEM, KEY), { value: { id: '1', status: 'D' }, source: 'hit' })
})

void test('P2 L2: a loss without a lost connection, as behind a proxy that fails over, is one too', async (t) => {
  const f = await itemFixture(t)
  let failedOver = ''
  const another = await f.anotherReader({
    redis: {
      get isReady() {
        return f.redis.isReady
      },
      async sendCommand(args) {
        const reply = await f.redis.sendCommand([...args])
        return args[0] === 'INFO' ? String(reply).replace(/^master_replid:/m, `$&${failedOver}`) : reply
      },
      on: (event, listener) => f.redis.on(event, listener),
      off: (event, listener) => f.redis.off(event, listener),
    },
  })
  await trusted(another)
  const before = String(await f.get(VALUE))
  const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'B' where id = '1'`)
  await another.get(ITEM, KEY, { token })
  await f.redis.command('UNLINK', MARK, LEASE)
  await f.redis.command('SET', VALUE, before)
  failedOver = 'other'
  await waitFor(async () => (await another.get(ITEM, KEY)).value?.['status'] === 'B', { what: 'the floor' })
})

void test('P2 L2: a consumer that begins where it had been before tells readers of the loss, before any timer looks', async (t) => {
  const f = await itemFixture(t)
  const another = await f.anotherReader({}, { trustIntervalMs: 3_600_000 })
  await trusted(another)
  const applied = (position: string): void => another.applied({ invalidator: position, warmer: position })
  applied(at(2))
  const before = String(await f.get(VALUE))
  const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'B' where id = '1'`)
  await another.get(ITEM, KEY, { token })
  await f.redis.command('UNLINK', MARK, LEASE)
  await f.redis.command('SET', VALUE, before)
  applied(at(1))
  assert.equal(another.isRedisTrusted(), false)
  for (const role of ['invalidate', 'warm'] as const) await f.protocol.reposition(role, at(1), at(2))
  applied(at(2))
  await trusted(another)
  assert.equal(statusOf(await f.get(VALUE)), 'A')
  assert.equal((await another.get(ITEM, KEY)).value?.['status'], 'B')
})

void test('P2 L2: where INFO is not allowed, every lost connection counts as a loss', async (t) => {
  const f = await itemFixture(t)
  await f.redis.command('ACL', 'SETUSER', 'default', '-info')
  await fallBack(f, async () => {
    const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'B' where id = '1'`)
    assert.equal((await f.reader.get(ITEM, KEY, { token })).value?.['status'], 'B')
    await f.redis.command('ACL', 'SETUSER', 'default', '-info')
  })
  await trusted(f.reader)
  assert.equal((await f.reader.get(ITEM, KEY)).value?.['status'], 'B')
})

void test('a lost connection to a Redis that lost nothing costs no hit', async (t) => {
  const f = await itemFixture(t)
  await trusted(f.reader)
  const id = await f.redis.command('CLIENT', 'ID')
  await f.redis.command('CLIENT', 'KILL', 'ID', String(id), 'SKIPME', 'no').catch(() => undefined)
  await waitFor(async () => (await f.redis.command('CLIENT', 'ID').catch(() => id)) !== id, {
    what: 'another connection',
  })
  await trusted(f.reader)
  assert.equal((await f.reader.get(ITEM, KEY)).source, 'hit')
})
