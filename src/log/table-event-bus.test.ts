import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql, TransactionSql } from 'postgres'

import { defer, type TestScope } from '../../test/support/defer.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { type Logger, SILENT } from '../runtime/logger.ts'
import { createPostgresPool } from '../runtime/postgres.ts'
import { countDeadLetters, listDeadLetters, requestReplay } from './dead-letters.ts'
import { insertDomainEvents } from './domain-event-table.ts'
import type { DomainEvent } from './domain-event.ts'
import { readInboxPosition } from './inbox.ts'
import { event, logDatabase } from './log-fixture.ts'
import { createTableEventBus, type TableEventBusOptions } from './table-event-bus.ts'

/** Longer than any test: who passes has not waited for it. */
const NO_POLL = { pollMs: 600_000 }

interface Consumption {
  stop(): Promise<void>
}

/** A consumer whose effect is a row in `effects`, in the store. */
function consume(
  scope: TestScope,
  databases: { readonly log: Sql; readonly store: Sql; readonly logger?: Logger },
  handle: (tx: TransactionSql, event: DomainEvent) => Promise<void>,
  options: TableEventBusOptions = {},
): Consumption {
  const bus = createTableEventBus({ sql: databases.log, log: databases.logger ?? SILENT }, { pollMs: 20, ...options })
  const aborter = new AbortController()
  const { store } = databases
  const running = bus.consume({ topic: 'things', consumer: 'reader', store, handle, signal: aborter.signal })
  const stop = async (): Promise<void> => {
    aborter.abort()
    await running
  }
  defer(scope, stop)
  return { stop }
}

async function databases(scope: TestScope): Promise<{ log: Sql; store: Sql }> {
  const [{ sql: log }, { sql: store }] = await Promise.all([logDatabase(scope), testPostgres(scope)])
  await store`create table effects (nr bigint generated always as identity, event_id text not null)`
  return { log, store }
}

const note = async (tx: TransactionSql, { eventId }: DomainEvent): Promise<void> => {
  await tx`insert into effects (event_id) values (${eventId})`
}

async function effects(store: Sql): Promise<string[]> {
  const rows = await store<{ event_id: string }[]>`select event_id from effects order by nr`
  return rows.map((row) => row.event_id)
}

function untilEffects(store: Sql, expected: readonly string[]): Promise<unknown> {
  return waitFor(() => effects(store), {
    what: `the effects ${expected.join(', ')}`,
    until: (ids) => ids.length >= expected.length && ids.join() === expected.join(),
  })
}

const position = (store: Sql): Promise<bigint> => readInboxPosition(store, 'reader', 'things')

test('events have their effects in the order of the log, each once, over restarts and in any size of batch', async (t) => {
  const { log, store } = await databases(t)
  const ids = Array.from({ length: 45 }, (_, index) => `e${index}`)
  await insertDomainEvents(
    log,
    ids.slice(0, 30).map((id) => event(id)),
  )
  const first = consume(t, { log, store }, note, { batchSize: 7 })
  await untilEffects(store, ids.slice(0, 30))
  await first.stop()
  await insertDomainEvents(
    log,
    ids.map((id) => event(id)),
  )
  consume(t, { log, store }, note, { batchSize: 7 })
  await untilEffects(store, ids)
})

test('effect, inbox and position are one: a failure in between takes all of them back, and the effect happens once', async (t) => {
  const { log, store } = await databases(t)
  await insertDomainEvents(log, [event('a'), event('b'), event('c')])
  let failures = 0
  const seen: unknown[] = []
  consume(t, { log, store }, async (tx, given) => {
    await note(tx, given)
    if (given.eventId === 'b' && failures++ < 2) {
      seen.push(await position(store), await effects(store), (await store`select from trackops_inbox`).length)
      throw new TrackOpsError('POSTGRES_UNREACHABLE', 'the connection broke')
    }
  })
  await untilEffects(store, ['a', 'b', 'c'])
  assert.deepEqual(seen, [0n, [], 0, 0n, [], 0])
  assert.equal(await position(store), 3n)
  assert.equal(await countDeadLetters(log), 0)
})

test('an event whose position was set back is known by its inbox row', async (t) => {
  const { log, store } = await databases(t)
  await insertDomainEvents(log, [event('a'), event('b')])
  const first = consume(t, { log, store }, note)
  await untilEffects(store, ['a', 'b'])
  await first.stop()
  await store`update trackops_inbox_position set seq = 0`
  await insertDomainEvents(log, [event('c')])
  consume(t, { log, store }, note)
  await untilEffects(store, ['a', 'b', 'c'])
})

test('of an error from PostgreSQL, a dead letter has the SQLSTATE and not the message', async (t) => {
  const { log, store } = await databases(t)
  await insertDomainEvents(log, [event('bad')])
  consume(t, { log, store }, async (tx) => {
    await tx`select 'hunter2'::int`
  })
  await waitFor(() => position(store), { what: 'the position to pass it', until: (seq) => seq === 1n })
  const [letter] = await listDeadLetters(log)
  assert.equal(letter?.errorMessage, 'the handler threw PostgresError (SQLSTATE 22P02)')
})

test('L4: a poison event becomes a dead letter without its values, its effect is taken back, and the next ones are handled', async (t) => {
  const { log, store } = await databases(t)
  const lines: string[] = []
  const write = (fields: object, message: string): void => void lines.push(JSON.stringify(fields) + message)
  const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger }
  await insertDomainEvents(log, [event('a'), event('bad', { payload: { secret: 'hunter2' } }), event('c')])
  let attempts = 0
  consume(t, { log, store, logger }, async (tx, given) => {
    await note(tx, given)
    if (given.eventId !== 'bad') return
    attempts++
    throw new RangeError(`cannot handle ${JSON.stringify(given.payload)}`)
  })
  await untilEffects(store, ['a', 'c'])
  await waitFor(() => position(store), { what: 'the position to pass it', until: (seq) => seq === 3n })
  const [letter, ...more] = await listDeadLetters(log)
  assert.deepEqual(more, [])
  assert.deepEqual(
    [letter?.consumer, letter?.source, letter?.position, letter?.errorCode, letter?.errorMessage],
    ['reader', 'things', '2', 'UNKNOWN', 'the handler threw RangeError'],
  )
  assert.deepEqual(letter?.subject, { kind: 'event', event: event('bad', { payload: { secret: 'hunter2' } }) })
  assert.equal(attempts, 2, 'with the others, then alone')
  assert.ok(lines.length > 0)
  assert.equal(
    lines.some((line) => line.includes('hunter2')),
    false,
  )
})

test('L4: what the database refuses is tried a bounded number of times before it is set aside', async (t) => {
  const { log, store } = await databases(t)
  await insertDomainEvents(log, [event('refused'), event('b')])
  let attempts = 0
  consume(
    t,
    { log, store },
    async (tx, given) => {
      await note(tx, given)
      if (given.eventId !== 'refused') return
      attempts++
      throw Object.assign(new Error('permission denied for table forbidden'), { code: '42501' })
    },
    { maxAttempts: 3 },
  )
  await untilEffects(store, ['b'])
  const [letter] = await listDeadLetters(log)
  assert.deepEqual([letter?.errorCode, letter?.attempts, attempts], ['POSTGRES_REFUSED', 3, 4])
})

test('what passes is waited out, and being stopped meanwhile sets nothing aside', async (t) => {
  const { log, store } = await databases(t)
  await insertDomainEvents(log, [event('a')])
  let attempts = 0
  const consuming = consume(t, { log, store }, () => {
    attempts++
    return Promise.reject(new TrackOpsError('TIMEOUT', 'too slow'))
  })
  await waitFor(() => attempts, { what: 'attempts', until: (count) => count >= 3 })
  await consuming.stop()
  assert.deepEqual([await countDeadLetters(log), await position(store)], [0, 0n])
  const stopping = new AbortController()
  const bus = createTableEventBus({ sql: log, log: SILENT })
  await bus.consume({
    topic: 'things',
    consumer: 'reader',
    store,
    signal: stopping.signal,
    handle() {
      // The batch fails for good, the event alone only for now, when the stop has come.
      if (stopping.signal.aborted) return Promise.reject(new TrackOpsError('TIMEOUT', 'too slow'))
      stopping.abort()
      return Promise.reject(new Error('no'))
    },
  })
  assert.deepEqual([await countDeadLetters(log), await position(store)], [0, 0n])
  consume(t, { log, store }, note)
  await untilEffects(store, ['a'])
})

test('a dead letter that somebody wants handled again is, once; one that fails again waits again', async (t) => {
  const { log, store } = await databases(t)
  await insertDomainEvents(log, [event('bad')])
  let isMended = false
  let attempts = 0
  consume(
    t,
    { log, store },
    async (tx, given) => {
      attempts++
      if (!isMended) throw new Error('no')
      await note(tx, given)
    },
    NO_POLL,
  )
  const letter = async () => (await listDeadLetters(log, { includeReplayed: true }))[0]
  const id = (await waitFor(letter, { what: 'the dead letter' })).id
  const before = attempts
  await requestReplay(log, id)
  await waitFor(letter, { what: 'another attempt', until: (found) => found.attempts === 2 })
  assert.equal(attempts, before + 1, 'once, not until it works')
  isMended = true
  await requestReplay(log, id)
  await waitFor(letter, { what: 'the replay', until: (found) => found.replayedAt !== null })
  assert.deepEqual(await effects(store), ['bad'])
  await requestReplay(log, id)
  await waitFor(letter, { what: 'the second replay', until: (found) => found.replayedAt !== null })
  assert.deepEqual(await effects(store), ['bad'], 'the inbox knows it')
})

test('a notification wakes the consumer: nobody waits for the poll', async (t) => {
  const { log, store } = await databases(t)
  consume(t, { log, store }, note, NO_POLL)
  await waitFor(() => log`select from pg_stat_activity where query ilike 'listen%trackops_domain_events%'`, {
    what: 'the consumer to listen',
    until: (rows) => rows.length > 0,
  })
  for (const id of ['a', 'b', 'c']) {
    await insertDomainEvents(log, [event(id)])
    await waitFor(() => effects(store), { what: `the effect of ${id}`, until: (ids) => ids.at(-1) === id })
  }
})

test('where nobody can listen, polling still brings every event', async (t) => {
  const { log, store } = await databases(t)
  const deaf = Object.assign((...args: Parameters<Sql>) => log(...args), log, {
    listen: () => Promise.reject(new Error('the connection for notifications cannot be made')),
  }) as unknown as Sql
  consume(t, { log: deaf, store }, note)
  await insertDomainEvents(log, [event('a')])
  await untilEffects(store, ['a'])
})

test('a connection for notifications that breaks is made anew, and what came meanwhile is found', async (t) => {
  const { url, sql: log } = await logDatabase(t)
  const { sql: store } = await testPostgres(t)
  await store`create table effects (nr bigint generated always as identity, event_id text not null)`
  const own = createPostgresPool(url, { applicationName: 'to-be-killed' })
  defer(t, () => own.end({ timeout: 1 }))
  consume(t, { log: own, store }, note, NO_POLL)
  const listeners = () => log<{ pid: number }[]>`
    select pid from pg_stat_activity
    where application_name = 'to-be-killed' and datname = current_database() and query ilike 'listen%'`
  const [listener] = await waitFor(listeners, { what: 'the consumer to listen', until: (rows) => rows.length > 0 })
  await log`select pg_terminate_backend(${listener?.pid ?? 0})`
  await insertDomainEvents(log, [event('meanwhile')])
  await untilEffects(store, ['meanwhile'])
  await waitFor(listeners, {
    what: 'it to listen again',
    until: (rows) => rows.length > 0 && rows[0]?.pid !== listener?.pid,
  })
  await insertDomainEvents(log, [event('later')])
  await untilEffects(store, ['meanwhile', 'later'])
})

test('an abort ends a consumer and a relay that wait, at once', async (t) => {
  const { log, store } = await databases(t)
  const bus = createTableEventBus({ sql: log, log: SILENT }, NO_POLL)
  const aborter = new AbortController()
  const { signal } = aborter
  const running = [
    bus.consume({ topic: 'things', consumer: 'reader', store, handle: note, signal }),
    bus.relay({ store, signal }),
  ]
  await waitFor(() => store`select from pg_stat_activity where query ilike 'listen%trackops_outbox%'`, {
    what: 'the relay to listen',
    until: (rows) => rows.length > 0,
  })
  aborter.abort()
  await Promise.all(running)
})

test('what was handled longer ago than the retention leaves the inbox, also where nothing is announced', async (t) => {
  const { log, store } = await databases(t)
  await insertDomainEvents(log, [event('old'), event('young')])
  const first = consume(t, { log, store }, note)
  await untilEffects(store, ['old', 'young'])
  await first.stop()
  await store`update trackops_inbox set handled_at = now() - interval '2 days' where event_id = 'old'`
  consume(t, { log, store }, note, { retentionSeconds: 86_400 })
  await waitFor(() => store<{ event_id: string }[]>`select event_id from trackops_inbox`, {
    what: 'the old row to be gone',
    until: (rows) => rows.map((row) => row.event_id).join() === 'young',
  })
})
