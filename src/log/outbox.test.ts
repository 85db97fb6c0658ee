import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import { defer, type TestScope } from '../../test/support/defer.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { SILENT } from '../runtime/logger.ts'
import type { DomainEvent } from './domain-event.ts'
import { insertDomainEvents } from './domain-event-table.ts'
import { event, logDatabase, ownLogDatabase, published } from './log-fixture.ts'
import { enqueue, OUTBOX_DDL, relayOutbox } from './outbox.ts'
import { createTableEventBus } from './table-event-bus.ts'

async function storeOf(scope: TestScope): Promise<Sql> {
  const { sql } = await testPostgres(scope)
  await sql.unsafe(OUTBOX_DDL)
  return sql
}

const announce = (store: Sql, ...ids: string[]): Promise<unknown> =>
  store.begin((tx) =>
    enqueue(
      tx,
      ids.map((id) => event(id)),
    ),
  )
const into =
  (log: Sql) =>
  (events: readonly DomainEvent[]): Promise<number> =>
    insertDomainEvents(log, events)
const unpublished = async (store: Sql): Promise<number> =>
  (await store`select from trackops_outbox where published_at is null`).length

test('events are announced if, and only if, the transaction commits, and in their order', async (t) => {
  const [{ sql: log }, store] = await Promise.all([logDatabase(t), storeOf(t)])
  await announce(store, ...Array.from({ length: 12 }, (_, index) => `e${index}`))
  await store
    .begin(async (tx) => {
      await enqueue(tx, [event('never')])
      throw new Error('roll back')
    })
    .catch(() => undefined)
  await announce(store, 'e12')
  while ((await relayOutbox(store, into(log), 5)) > 0);
  assert.deepEqual(
    await published(log),
    Array.from({ length: 13 }, (_, index) => `e${index}`),
  )
  assert.equal(await unpublished(store), 0)
})

test('a transaction that drew its numbers first and commits late is not stepped over', async (t) => {
  const [{ sql: log }, store] = await Promise.all([logDatabase(t), storeOf(t)])
  const hasWritten = Promise.withResolvers<void>()
  const mayCommit = Promise.withResolvers<void>()
  const late = store.begin(async (tx) => {
    await enqueue(tx, [event('late')])
    hasWritten.resolve()
    await mayCommit.promise
  })
  await hasWritten.promise
  await announce(store, 'early')
  assert.equal(await relayOutbox(store, into(log), 10), 1)
  mayCommit.resolve()
  await late
  assert.equal(await relayOutbox(store, into(log), 10), 1)
  assert.deepEqual(await published(log), ['early', 'late'])
})

test('a relay that dies between publishing and noting it publishes again, and that is no second event', async (t) => {
  const [{ sql: log }, store] = await Promise.all([logDatabase(t), storeOf(t)])
  await announce(store, 'a', 'b')
  await insertDomainEvents(log, [event('a'), event('b')])
  assert.equal(await relayOutbox(store, into(log), 10), 2)
  assert.deepEqual(await published(log), ['a', 'b'])
  assert.equal(await unpublished(store), 0)
})

test('of two relays one carries: a second would carry what comes later sooner', async (t) => {
  const [{ sql: log }, store] = await Promise.all([logDatabase(t), storeOf(t)])
  await announce(store, 'a', 'b')
  const isHeld = Promise.withResolvers<void>()
  const mayGoOn = Promise.withResolvers<void>()
  // The first relay is held up at the log, whose writers take turns.
  const writer = log.begin(async (tx) => {
    await insertDomainEvents(tx, [event('other')])
    isHeld.resolve()
    await mayGoOn.promise
  })
  await isHeld.promise
  const first = relayOutbox(store, into(log), 1)
  await waitFor(
    () => log`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    {
      what: 'the first relay to wait',
      until: (rows) => rows.length === 1,
    },
  )
  assert.equal(await relayOutbox(store, into(log), 1), 0)
  mayGoOn.resolve()
  await writer
  assert.equal(await first, 1)
  assert.equal(await relayOutbox(store, into(log), 1), 1)
  assert.deepEqual(await published(log), ['other', 'a', 'b'])
})

test('nothing is lost while the log is down, and the relay goes on by itself when it is back', async (t) => {
  const [server, store] = await Promise.all([ownLogDatabase(t), storeOf(t)])
  const bus = createTableEventBus({ sql: server.sql, log: SILENT }, { pollMs: 20 })
  const aborter = new AbortController()
  const running = bus.relay({ store, signal: aborter.signal })
  defer(t, async () => {
    aborter.abort()
    await running
  })
  await announce(store, 'before')
  await waitFor(() => unpublished(store), { what: 'the first to be carried', until: (count) => count === 0 })
  await server.kill()
  await announce(store, 'a')
  await announce(store, 'b')
  assert.equal(await unpublished(store), 2)
  await server.start()
  await waitFor(() => unpublished(store), { what: 'all to be carried', until: (count) => count === 0 })
  assert.deepEqual(await published(server.sql), ['before', 'a', 'b'])
})

test('the same event announced twice is one', async (t) => {
  const [{ sql: log }, store] = await Promise.all([logDatabase(t), storeOf(t)])
  await announce(store, 'a')
  await announce(store, 'a', 'b')
  await relayOutbox(store, into(log), 10)
  assert.deepEqual(await published(log), ['a', 'b'])
})
