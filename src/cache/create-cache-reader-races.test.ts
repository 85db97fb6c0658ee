/** What may happen between the steps of a reader, on a real Redis and a real PostgreSQL. */
import assert from 'node:assert/strict'
import test from 'node:test'

import type { Sql } from 'postgres'

import type { TestScope } from '../../test/support/defer.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { GONE, INVALIDATE, statusOf } from './protocol-fixture.ts'
import { readerFixture, type ReaderFixture } from './reader-fixture.ts'
import type { RedisConnection } from './redis-call.ts'
import { type RowView, rowView } from './view.ts'
import { writeFresh } from './writes.ts'

/** A row view whose reads take their snapshot and then wait for an advisory lock: the time between read and settle, at will. */
const SLOW = rowView({
  name: 'slow',
  key: 'slow:{id}',
  table: 'public.slow_items',
  ttlSeconds: 60,
  warm: 'all',
  columns: ['id', 'status'],
  document: ({ id, status }) => ({ id: id ?? null, status: status ?? null }),
})
const TABLE = `create table public.items (id text primary key, owner text, status text, note text);
  create view public.slow_items as select i.* from (select pg_advisory_xact_lock_shared(1)) as gate, public.items i`

async function slowFixture(t: TestScope): Promise<ReaderFixture & { readonly closeGate: () => Promise<Gate> }> {
  const fixture = await readerFixture(t, { definitions: [SLOW], table: TABLE })
  await fixture.sql`insert into items values ('1', 'ann', 'A', null)`
  return { ...fixture, closeGate: () => closeGate(fixture.sql) }
}

interface Gate {
  readonly reached: (readers: number) => Promise<unknown>
  readonly open: () => Promise<void>
}

async function closeGate(sql: Sql): Promise<Gate> {
  const session = await sql.reserve()
  await session`select pg_advisory_lock(1)`
  return {
    reached: (readers) =>
      waitFor(
        async () =>
          (
            await sql`select 1 from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`
          ).count >= readers,
        { what: 'the readers to wait at the gate' },
      ),
    async open() {
      await session`select pg_advisory_unlock(1)`
      session.release()
    },
  }
}

const B = { kind: 'value', document: '{"id":"1","status":"B"}' } as const

void test('P1: a change that passes between a read and its settle keeps the old row out of the cache', async (t) => {
  const f = await slowFixture(t)
  const gate = await f.closeGate()
  const reading = f.reader.get(SLOW, { id: '1' })
  await gate.reached(1)
  const changed = await f.change(`update items set status = 'B' where id = '1'`)
  await f.process(changed, f.view('slow'), 'slow:1', INVALIDATE)
  await gate.open()
  assert.deepEqual(await reading, { value: { id: '1', status: 'A' }, source: 'miss' }, 'it began before the change')
  assert.equal(await f.get('slow:1'), null)
  assert.deepEqual((await f.reader.get(SLOW, { id: '1' })).value, { id: '1', status: 'B' })
})

void test('P2: a reader whose key was warmed meanwhile answers what is there', async (t) => {
  const f = await slowFixture(t)
  const gate = await f.closeGate()
  const reading = f.reader.get(SLOW, { id: '1' })
  await gate.reached(1)
  await f.process(await f.change(`update items set status = 'B' where id = '1'`), f.view('slow'), 'slow:1', B)
  await gate.open()
  assert.deepEqual((await reading).value, { id: '1', status: 'B' })
  assert.equal(statusOf(await f.get('slow:1')), 'B')
})

void test('P1: a forget between a read and its settle refuses the fill', async (t) => {
  const f = await slowFixture(t)
  const gate = await f.closeGate()
  const reading = f.reader.get(SLOW, { id: '1' })
  await gate.reached(1)
  const lease = await f.get('{slow:1}:lease')
  await f.protocol.forget(['slow'])
  // Even where the lease itself is not found by the scan.
  await f.redis.command('SET', '{slow:1}:lease', lease ?? '')
  await gate.open()
  await reading
  assert.equal(await f.get('slow:1'), null)
})

void test('P1: a reader whose lease ended and is held by another stores nothing', async (t) => {
  const f = await slowFixture(t)
  const gate = await f.closeGate()
  const reading = f.reader.get(SLOW, { id: '1' })
  await gate.reached(1)
  await f.redis.command('SET', '{slow:1}:lease', 'another;')
  await gate.open()
  await reading
  assert.equal(await f.get('slow:1'), null)
})

void test('P2: an answer that is not stored ends the lease of the one who holds it, and leaves a mark', async (t) => {
  const f = await slowFixture(t)
  const gate = await f.closeGate()
  const early = f.reader.get(SLOW, { id: '1' })
  await gate.reached(1)
  await f.sql`update items set status = 'B' where id = '1'`
  await gate.open()
  await early
  await f.redis.command('UNLINK', 'slow:1')

  await f.redis.command('SET', '{slow:1}:lease', 'somebody;')
  const { value } = await f.reader.get(SLOW, { id: '1' })
  assert.deepEqual(value, { id: '1', status: 'B' })
  assert.equal(await f.redis.command('EXISTS', 'slow:1', '{slow:1}:lease'), 0)
  assert.match(String(await f.redis.command('GET', '{slow:1}:answered')), /^[0-9A-F]{16}$/)
})

void test('one process reads a key that many ask for once', async (t) => {
  const f = await slowFixture(t)
  const gate = await f.closeGate()
  const reading = Array.from({ length: 50 }, () => f.reader.get(SLOW, { id: '1' }))
  await gate.reached(1)
  assert.equal(f.reader.databaseReads().running, 1)
  await gate.open()
  for (const { value } of await Promise.all(reading)) assert.deepEqual(value, { id: '1', status: 'A' })
})

void test('L7: who brings a token does not take the answer of a read that began before his write', async (t) => {
  const f = await slowFixture(t)
  const gate = await f.closeGate()
  const early = f.reader.get(SLOW, { id: '1' })
  await gate.reached(1)
  const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'B' where id = '1'`)
  const late = f.reader.get(SLOW, { id: '1' }, { token })
  await gate.open()
  assert.deepEqual((await late).value, { id: '1', status: 'B' })
  await early
})

void test('L7: a cached value older than the token is replaced through a lease; a newer one is a hit', async (t) => {
  const f = await slowFixture(t)
  await f.reader.get(SLOW, { id: '1' })
  const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'B' where id = '1'`)
  assert.deepEqual((await f.reader.get(SLOW, { id: '1' })).value, { id: '1', status: 'A' }, 'no consumer has come by')
  assert.deepEqual(await f.reader.get(SLOW, { id: '1' }, { token }), {
    value: { id: '1', status: 'B' },
    source: 'bypass',
  })
  assert.deepEqual(await f.reader.get(SLOW, { id: '1' }, { token }), { value: { id: '1', status: 'B' }, source: 'hit' })
})

void test('L7: an absence older than the token is no answer', async (t) => {
  const f = await slowFixture(t)
  await f.reader.get(SLOW, { id: '2' })
  const { token } = await writeFresh(f.sql, (tx) => tx`insert into items values ('2', 'ann', 'NEW', null)`)
  assert.deepEqual((await f.reader.get(SLOW, { id: '2' }, { token })).value, { id: '2', status: 'NEW' })
  assert.equal(await f.redis.command('EXISTS', '{slow:2}:absent'), 0)
})

void test('L7: an entry from the very transaction, or from a later change of the row, meets the token', async (t) => {
  const f = await slowFixture(t)
  const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'B' where id = '1'`)
  await f.process({ xid: token.xid, lsn: (token.lsn - 50n) as typeof token.lsn }, f.view('slow'), 'slow:1', B)
  assert.equal((await f.reader.get(SLOW, { id: '1' }, { token })).source, 'hit')
  await f.process({ xid: token.xid + 1n, lsn: token.lsn }, f.view('slow'), 'slow:1', B)
  assert.equal((await f.reader.get(SLOW, { id: '1' }, { token })).source, 'hit')
})

void test('L7: once the consumers have applied the token, whatever is there is a hit', async (t) => {
  const f = await slowFixture(t)
  await f.reader.get(SLOW, { id: '1' })
  const { token } = await writeFresh(f.sql, (tx) => tx`insert into items values ('9', null, null, null)`)
  const asked: bigint[] = []
  const other = await f.anotherReader({ waitForApplied: async (lsn) => (asked.push(lsn), await Promise.resolve(true)) })
  assert.equal((await other.get(SLOW, { id: '1' }, { token })).source, 'hit')
  assert.deepEqual(asked, [token.lsn])
})

void test('a write with synchronous_commit off has a token at or behind the end of its commit', async (t) => {
  const f = await slowFixture(t)
  const { token } = await writeFresh(f.sql, async (tx) => {
    await tx`set local synchronous_commit = off`
    await tx`update items set status = 'B' where id = '1'`
  })
  const [row] = await f.sql<{ is_behind: boolean }[]>`
    select ${`${(token.lsn >> 32n).toString(16)}/${(token.lsn & 0xffffffffn).toString(16)}`}::text::pg_lsn <= pg_current_wal_insert_lsn() as is_behind`
  assert.equal(row?.is_behind, true)
  assert.deepEqual((await f.reader.get(SLOW, { id: '1' }, { token })).value, { id: '1', status: 'B' })
})

void test('a poisoned entry is a miss, and is replaced', async (t) => {
  const f = await slowFixture(t)
  const code = f.view('slow').code
  const poisons: string[][] = [
    ['SET', 'slow:1', 'not JSON'],
    ['SADD', 'slow:1', 'a set'],
    ['SET', 'slow:1', '[1]'],
    ['SET', 'slow:1', `{"_v":"${code}|r|1:1:","status":`],
    ['SET', 'slow:1', `{"_v":"00000000|r|1:1:","status":"OTHER CODE"}`],
  ]
  for (const poison of poisons) {
    await f.redis.command('UNLINK', 'slow:1')
    await f.redis.command(...poison)
    assert.deepEqual((await f.reader.get(SLOW, { id: '1' })).value, { id: '1', status: 'A' }, poison.join(' '))
    assert.equal((await f.reader.get(SLOW, { id: '1' })).source, 'hit', poison.join(' '))
  }
})

void test('L2: a Redis that lost its positions is not believed until its consumers have caught up', async (t) => {
  const f = await slowFixture(t)
  await f.process(await f.change(`update items set status = 'B' where id = '1'`), f.view('slow'), 'slow:1', B)
  assert.equal((await f.reader.get(SLOW, { id: '1' })).source, 'hit')
  const { invalidator, warmer } = await f.protocol.positions()
  await waitFor(() => f.reader.isRedisTrusted(), { what: 'trust' })
  f.reader.applied({ invalidator, warmer })
  await f.redis.command('FLUSHALL')
  await f.redis.command('SET', 'slow:1', `{"_v":"${f.view('slow').code}|e|0000000000000001|1","status":"STALE"}`)
  await waitFor(() => !f.reader.isRedisTrusted(), { what: 'doubt' })
  assert.deepEqual(await f.reader.get(SLOW, { id: '1' }), { value: { id: '1', status: 'B' }, source: 'bypass' })
  assert.equal(await f.get('slow:1'), null, 'what was there is gone')
  await f.protocol.reposition('invalidate', null, invalidator ?? '')
  await f.protocol.reposition('warm', null, warmer ?? '')
  await waitFor(() => f.reader.isRedisTrusted(), { what: 'trust again' })
})

void test('L6: without Redis the database answers, and when it is back those answers are not contradicted', async (t) => {
  const f = await slowFixture(t)
  assert.equal((await f.reader.get(SLOW, { id: '1' })).source, 'miss')
  await f.sql`update items set status = 'B' where id = '1'`
  await f.stopRedis()
  assert.deepEqual(await f.reader.get(SLOW, { id: '1' }), { value: { id: '1', status: 'B' }, source: 'bypass' })
  await f.startRedis()
  await waitFor(() => f.reader.isRedisTrusted(), { what: 'trust' })
  assert.deepEqual(
    (await f.reader.get(SLOW, { id: '1' })).value,
    { id: '1', status: 'B' },
    'Redis held A, and no consumer has come by',
  )
})

void test('L6: readers that never cease do not keep a Redis that is back from being believed', async (t) => {
  const f = await slowFixture(t)
  let reads = 0
  const stop = new AbortController()
  // Each look at the positions takes as long as some reads.
  const redis: RedisConnection = {
    get isReady() {
      return f.redis.isReady
    },
    async sendCommand(args) {
      const from = reads
      const reply = await f.redis.sendCommand([...args])
      if (args[0] === 'MGET') await waitFor(() => stop.signal.aborted || reads > from + 8, { what: 'some reads' })
      return reply
    },
    on: (event, listener) => f.redis.on(event, listener),
    off: (event, listener) => f.redis.off(event, listener),
  }
  const reader = await f.anotherReader({ redis })
  const readOn = async (): Promise<void> => {
    for (; !stop.signal.aborted; reads++) await reader.get(SLOW, { id: '1' })
  }
  const readers = Promise.all(Array.from({ length: 8 }, readOn))
  try {
    await waitFor(() => reader.isRedisTrusted(), { what: 'trust' })
    await f.stopRedis()
    const from = reads
    await waitFor(() => reads > from + 50, { what: 'answers without Redis' })
    await f.startRedis()
    await waitFor(() => reader.isRedisTrusted(), { what: 'trust again', timeoutMs: 20_000 })
  } finally {
    stop.abort()
    await readers
  }
})

void test('refresh fills what is absent through leases, and leaves what is there', async (t) => {
  const f = await slowFixture(t)
  await f.sql`insert into items select n::text, null, 'N', null from generate_series(2, 250) n`
  await f.process(await f.change(`update items set status = 'B' where id = '1'`), f.view('slow'), 'slow:1', B)
  const keys = Array.from({ length: 251 }, (_, index) => `slow:${index + 1}`)
  assert.deepEqual(await f.reader.refresh('slow', [...keys, 'of no view']), { stored: 250, left: 1, notStored: 0 })
  assert.equal(statusOf(await f.get('slow:250')), 'N')
  assert.equal(await f.redis.command('EXISTS', 'slow:251'), 0)
})

void test('a deleted row is unknown from then on', async (t) => {
  const f = await slowFixture(t)
  await f.reader.get(SLOW, { id: '1' })
  await f.process(await f.change(`delete from items where id = '1'`), f.view('slow'), 'slow:1', GONE)
  assert.equal((await f.reader.get(SLOW, { id: '1' })).value, null)
})

void test('a function that throws fails its own read, and its key stays empty', async (t) => {
  const view: RowView = {
    ...SLOW,
    document: ({ status }) => {
      if (status === 'A') throw new Error('about A')
      return { status: status ?? null }
    },
  }
  const f = await readerFixture(t, { definitions: [view], table: TABLE })
  await f.sql`insert into items values ('1', 'ann', 'A', null), ('2', 'ann', 'B', null)`
  const [first, second] = await Promise.allSettled([f.reader.get(view, { id: '1' }), f.reader.get(view, { id: '2' })])
  assert.equal(first.status === 'rejected' && (first.reason as { code: string }).code, 'VIEW_FAILED')
  assert.equal(second.status, 'fulfilled')
  assert.equal(await f.redis.command('EXISTS', 'slow:1', '{slow:1}:lease'), 0)
})

void test('more misses than places: the next is refused', async (t) => {
  const f = await slowFixture(t)
  const narrow = await f.anotherReader({}, { databaseConcurrency: 1, databaseQueueLength: 0 })
  const gate = await f.closeGate()
  const first = narrow.get(SLOW, { id: '1' })
  await gate.reached(1)
  await assert.rejects(narrow.get(SLOW, { id: '2' }), { code: 'DATABASE_BUSY' })
  await gate.open()
  await first
})

void test('L7: what the very transaction has put there meanwhile is answered, not replaced', async (t) => {
  const f = await slowFixture(t)
  const { token } = await writeFresh(f.sql, (tx) => tx`update items set status = 'B' where id = '1'`)
  const gate = await f.closeGate()
  const reading = f.reader.get(SLOW, { id: '1' }, { token })
  await gate.reached(1)
  await f.process({ xid: token.xid, lsn: (token.lsn - 50n) as typeof token.lsn }, f.view('slow'), 'slow:1', B)
  await gate.open()
  assert.equal((await reading).source, 'hit')
  assert.match((await f.get('slow:1')) ?? '', /\|e\|/)
})
