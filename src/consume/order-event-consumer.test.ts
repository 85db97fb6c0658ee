import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import { defer, type TestScope } from '../../test/support/defer.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import type { StreamItem } from '../change/change-event.ts'
import type { Value } from '../change/value.ts'
import { logDatabase, ownLogDatabase, published } from '../log/log-fixture.ts'
import { listDeadLetters } from '../log/dead-letters.ts'
import { moveLogPosition, readLogPosition } from '../log/positions.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { SILENT } from '../runtime/logger.ts'
import {
  contextOf,
  HISTORY,
  insert,
  LATER_HISTORY,
  lsn,
  place,
  progress,
  sourceOf,
  transaction,
  visibilityOf,
} from './change-fixture.ts'
import type { EventDefinition } from './event-definition.ts'
import { createTableEventStore } from './event-store.ts'
import {
  createOrderEventConsumer,
  type OrderEventConsumerDeps,
  type OrderEventConsumerOptions,
} from './order-event-consumer.ts'
import { formatStoredPosition } from './stored-position.ts'
import type { StreamContext } from './stream-consumer.ts'

const NAME = 'order-event-consumer'

const textOf = (value: Value | undefined): string => (typeof value === 'string' ? value : '')

const created: EventDefinition = {
  topic: 'items',
  table: 'public.items',
  columns: ['id', 'status', 'details'],
  derive: ({ after }) =>
    after ? [{ eventId: `CREATED:${textOf(after['id'])}`, topic: 'items', key: 'k', payload: { ...after } }] : [],
}

function consumerOf(sql: Sql, deps: Partial<OrderEventConsumerDeps> = {}, options: OrderEventConsumerOptions = {}) {
  const recovered: bigint[] = []
  const recoverMissed = (horizon: bigint): Promise<void> => Promise.resolve(void recovered.push(horizon))
  const consumer = createOrderEventConsumer(
    { store: createTableEventStore(sql, NAME), log: SILENT, definitions: [created], recoverMissed, ...deps },
    options,
  )
  return { consumer, recovered }
}

type Consumer = ReturnType<typeof consumerOf>['consumer']

/** One run over these items, to their end. */
async function runThrough(consumer: Consumer, items: readonly StreamItem[], context: Partial<StreamContext> = {}) {
  const { source, end } = sourceOf(...items)
  end()
  await consumer.run(source, contextOf(context), new AbortController().signal)
}

const inserts = (...commits: readonly number[]): StreamItem[] =>
  commits.map((commit) => transaction(commit, [insert({ id: String(commit) })]))
const stored = async (sql: Sql): Promise<string | undefined> => (await readLogPosition(sql, NAME))?.position
const at = (number: number, ordinal = 0): string => formatStoredPosition(HISTORY, place(number, ordinal))

test('events and the position that they come from are written together, and what is delivered again is published once', async (t) => {
  const { sql } = await logDatabase(t)
  const { consumer } = consumerOf(sql)
  await runThrough(consumer, inserts(10, 20))
  assert.deepEqual(await published(sql), ['CREATED:10', 'CREATED:20'])
  assert.equal(await stored(sql), at(21))
  assert.equal(consumer.durableLsn(), lsn(21))
  await runThrough(consumerOf(sql).consumer, inserts(10, 20, 30))
  assert.deepEqual(await published(sql), ['CREATED:10', 'CREATED:20', 'CREATED:30'])
  assert.equal(await stored(sql), at(31))
})

test('even if the position is lost, an event is published once: its id derives from what happened', async (t) => {
  const { sql } = await logDatabase(t)
  await runThrough(consumerOf(sql).consumer, inserts(10))
  await sql`delete from trackops.positions`
  await runThrough(consumerOf(sql).consumer, inserts(10, 20))
  assert.deepEqual(await published(sql), ['CREATED:10', 'CREATED:20'])
})

test('a failure before the commit takes events and position back; they are written by the next try', async (t) => {
  const { sql } = await logDatabase(t)
  const seen: unknown[] = []
  let failures = 0
  const enrich: EventDefinition['enrich'] = async (_tx, events) => {
    if (failures++ === 0) throw new TrackOpsError('TIMEOUT', 'the lines could not be read yet')
    seen.push(await published(sql), await stored(sql))
    return events
  }
  await runThrough(consumerOf(sql, { definitions: [{ ...created, enrich }] }).consumer, inserts(10))
  assert.deepEqual(seen, [[], at(0)])
  assert.deepEqual([await published(sql), await stored(sql)], [['CREATED:10'], at(11)])
})

test('a commit whose answer was lost is found at the next start: nothing is published twice or left out', async (t) => {
  const { sql } = await logDatabase(t)
  let answers = 0
  const begin = async (work: Parameters<Sql['begin']>[1]): Promise<unknown> => {
    const result = await sql.begin(work)
    // The first is the position at the start, the second the events'.
    if (++answers === 2) throw new TrackOpsError('POSTGRES_UNREACHABLE', 'the connection broke after the commit')
    return result
  }
  const breaking = Object.assign((...args: Parameters<Sql>) => sql(...args), sql, { begin }) as unknown as Sql
  const { consumer } = consumerOf(breaking)
  await assert.rejects(runThrough(consumer, inserts(10, 20)), { code: 'POSITION_MISMATCH' })
  await runThrough(consumer, inserts(10, 20, 30))
  assert.deepEqual(await published(sql), ['CREATED:10', 'CREATED:20', 'CREATED:30'])
})

test('POSITION_MISMATCH where somebody else has moved the position: nothing of ours is written', async (t) => {
  const { sql } = await logDatabase(t)
  const { consumer } = consumerOf(sql)
  const { source, push } = sourceOf(...inserts(10))
  const running = consumer.run(source, contextOf(), new AbortController().signal)
  running.catch(() => undefined)
  await waitFor(() => stored(sql), { what: 'the first position', until: (text) => text === at(11) })
  await sql.begin((tx) => moveLogPosition(tx, NAME, { from: at(11), to: at(500), horizon: null }))
  push(...inserts(20))
  await assert.rejects(running, { code: 'POSITION_MISMATCH' })
  assert.deepEqual([await published(sql), await stored(sql)], [['CREATED:10'], at(500)])
  assert.equal(consumer.status().state, 'stopped')
})

test('a position that moves without events is stored now and then, so that the slot of an idle database can move', async (t) => {
  const { sql } = await logDatabase(t)
  let nowMs = 1_000_000
  const { consumer } = consumerOf(sql, { now: () => nowMs }, { idleStoreMs: 10_000 })
  const { source, push, end } = sourceOf()
  const running = consumer.run(source, contextOf(), new AbortController().signal)
  await waitFor(() => consumer.durableLsn() === lsn(0), { what: 'the start' })
  push(progress(50))
  await waitFor(() => consumer.status().appliedPosition?.commitLsn === lsn(50), { what: 'the progress to be seen' })
  assert.equal(consumer.durableLsn(), lsn(0), 'L1: what is not stored is not durable')
  nowMs += 10_000
  push(progress(60))
  await waitFor(() => consumer.durableLsn() === lsn(60), { what: 'the position to be stored' })
  assert.equal(await stored(sql), at(60))
  end()
  await running
})

test('a first start publishes nothing for what was there before', async (t) => {
  const { sql } = await logDatabase(t)
  const { consumer, recovered } = consumerOf(sql)
  await runThrough(consumer, [...inserts(10), ...inserts(110)], { resumeLsn: lsn(100) })
  assert.deepEqual([await published(sql), recovered], [['CREATED:110'], []])
})

test('after a lost slot rows that changed unseen are looked for, from the horizon on, before the stream goes on', async (t) => {
  const { sql } = await logDatabase(t)
  const seen = { snapshot: { xmin: 77n, xmax: 80n, running: new Set<bigint>() }, insertLsn: lsn(15) }
  const visibility = visibilityOf(seen)
  await runThrough(consumerOf(sql).consumer, inserts(10, 20), { visibility })
  assert.equal((await readLogPosition(sql, NAME))?.horizon, 77n)

  const again = consumerOf(sql)
  await runThrough(again.consumer, inserts(30), { resumeLsn: lsn(21), visibility })
  assert.deepEqual(again.recovered, [], 'the log reaches back: nothing was missed')

  for (const context of [
    { history: LATER_HISTORY, resumeLsn: lsn(5) },
    { history: LATER_HISTORY, resumeLsn: lsn(5000) },
  ]) {
    const later = consumerOf(sql)
    await runThrough(later.consumer, [], { ...context, visibility })
    assert.deepEqual(later.recovered, [77n])
    assert.equal(await stored(sql), formatStoredPosition(LATER_HISTORY, place(Number(context.resumeLsn))))
    assert.equal(later.consumer.durableLsn(), context.resumeLsn)
  }
})

test('a recovery that fails is tried again before the position moves', async (t) => {
  const { sql } = await logDatabase(t)
  const seen = { snapshot: { xmin: 77n, xmax: 80n, running: new Set<bigint>() }, insertLsn: lsn(15) }
  await runThrough(consumerOf(sql).consumer, inserts(10, 20), { visibility: visibilityOf(seen) })
  const positions: (string | undefined)[] = []
  const recoverMissed = async (): Promise<void> => {
    positions.push(await stored(sql))
    if (positions.length < 3) throw new TrackOpsError('POSTGRES_UNREACHABLE', 'not yet')
  }
  const { consumer } = consumerOf(sql, { recoverMissed })
  await runThrough(consumer, [], { history: LATER_HISTORY })
  assert.deepEqual(positions, [at(21), at(21), at(21)])
})

test('on a database on which no event ever happens there is a horizon, too', async (t) => {
  const { sql } = await logDatabase(t)
  const seen = { snapshot: { xmin: 77n, xmax: 80n, running: new Set<bigint>() }, insertLsn: lsn(15) }
  let nowMs = 0
  const { consumer } = consumerOf(sql, { now: () => nowMs }, { idleStoreMs: 1 })
  const { source, push, end } = sourceOf()
  let looks = 0
  const visibility = {
    ...visibilityOf(seen),
    newest: () => (looks > 0 ? seen : undefined),
    look: () => Promise.resolve((looks++, seen)),
  }
  const running = consumer.run(source, contextOf({ visibility }), new AbortController().signal)
  await waitFor(() => consumer.durableLsn() === lsn(0), { what: 'the start' })
  for (const number of [20, 30]) {
    nowMs += 10
    push(progress(number))
    await waitFor(() => consumer.durableLsn() === lsn(number), { what: `position ${number}` })
  }
  assert.equal((await readLogPosition(sql, NAME))?.horizon, 77n)
  end()
  await running
})

test('L4: an event that jsonb cannot hold is set aside; those with it are published, and the stream goes on', async (t) => {
  const { sql } = await logDatabase(t)
  const { consumer } = consumerOf(sql)
  const poison = transaction(20, [insert({ id: 'bad', details: '"\\u0000"' }), insert({ id: 'good' })])
  await runThrough(consumer, [...inserts(10), poison, ...inserts(30)])
  assert.deepEqual(await published(sql), ['CREATED:10', 'CREATED:good', 'CREATED:30'])
  assert.equal(await stored(sql), at(31))
  const letters = await listDeadLetters(sql)
  assert.deepEqual(
    letters.map(({ consumer: of, source, subject }) => [of, source, subject.kind]),
    [[NAME, 'public.items', 'row']],
  )
})

test('L4: an enrich that throws for one event sets that one aside; what it adds to the others counts', async (t) => {
  const { sql } = await logDatabase(t)
  const enrich: EventDefinition['enrich'] = (_tx, events) => {
    if (events.some(({ eventId }) => eventId === 'CREATED:20')) throw new Error('cannot')
    return Promise.resolve(events.map((event) => ({ ...event, payload: { lines: 3 } })))
  }
  const { consumer } = consumerOf(sql, { definitions: [{ ...created, enrich }] })
  await runThrough(consumer, inserts(10, 20, 30))
  assert.deepEqual(await published(sql), ['CREATED:10', 'CREATED:30'])
  const rows = await sql<{ payload: unknown }[]>`select payload from trackops.domain_events`
  assert.deepEqual(
    rows.map(({ payload }) => payload),
    [{ lines: 3 }, { lines: 3 }],
  )
  assert.equal((await listDeadLetters(sql))[0]?.errorCode, 'EVENT_FAILED')
})

test('of two events with one id in one batch the first counts', async (t) => {
  const { sql } = await logDatabase(t)
  const both = transaction(10, [insert({ id: '1', status: 'first' }), insert({ id: '1', status: 'second' })])
  const enrich: EventDefinition['enrich'] = (_tx, events) => Promise.resolve(events)
  await runThrough(consumerOf(sql, { definitions: [{ ...created, enrich }] }).consumer, [both])
  const rows = await sql<{ status: string }[]>`select payload->>'status' as status from trackops.domain_events`
  assert.deepEqual(
    rows.map(({ status }) => status),
    ['first'],
  )
})

test('a database that is away is waited out, with the reason in the status', async (t) => {
  const server = await ownLogDatabase(t)
  const { consumer } = consumerOf(server.sql)
  const { source, push, end } = sourceOf()
  const running = consumer.run(source, contextOf(), new AbortController().signal)
  await waitFor(() => consumer.durableLsn() === lsn(0), { what: 'the start' })
  await server.kill()
  push(...inserts(10))
  await waitFor(() => consumer.status(), { what: 'it to wait', until: ({ state }) => state === 'waiting' })
  assert.match(consumer.status().reason ?? '', /POSTGRES_UNREACHABLE/)
  await server.start()
  end()
  await running
  assert.deepEqual(await published(server.sql), ['CREATED:10'])
})

test('an abort ends it while it waits for a database that is away', async (t) => {
  const { consumer } = consumerOf(unreachable(t))
  const aborter = new AbortController()
  const running = consumer.run(sourceOf().source, contextOf(), aborter.signal)
  running.catch(() => undefined)
  await waitFor(() => consumer.status().state === 'waiting', { what: 'it to wait' })
  aborter.abort()
  await assert.rejects(running, { code: 'POSTGRES_UNREACHABLE' })
  assert.equal(consumer.durableLsn(), null)
})

function unreachable(scope: TestScope): Sql {
  const refuse = (): Promise<never> => Promise.reject(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
  defer(scope, () => undefined)
  return Object.assign(refuse, { begin: refuse }) as unknown as Sql
}
