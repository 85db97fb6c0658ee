import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import type { Value } from '../change/value.ts'
import { insertDomainEvents } from '../log/domain-event-table.ts'
import { listDeadLetters } from '../log/dead-letters.ts'
import { event, logDatabase, published } from '../log/log-fixture.ts'
import { SILENT } from '../runtime/logger.ts'
import type { EventDefinition, RowChangeView } from './event-definition.ts'
import { publishMissedEvents } from './missed-events.ts'

const definition: EventDefinition = {
  topic: 'things',
  table: 'public.things',
  columns: ['id', 'amount', 'Odd "name', 'made_at', 'details'],
  derive: ({ after }) => {
    if (after?.['id'] === 13) throw new Error('secret')
    return [{ ...event(`CREATED:${JSON.stringify(after?.['id'])}`), payload: { ...after } }]
  },
}

async function things(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create table things (id int primary key, amount numeric(12,2), "Odd ""name" boolean, made_at timestamptz, details jsonb)`)
}

/** Above every transaction of this test so far. Not a snapshot's xmin: others run in the shared server. */
async function horizonOf(sql: Sql): Promise<bigint> {
  const [row] = await sql<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
  return BigInt(row?.xid ?? '0')
}

const recover = (sql: Sql, horizon: bigint, definitions: readonly EventDefinition[] = [definition]): Promise<number> =>
  publishMissedEvents({ sql, log: SILENT }, definitions, horizon, new AbortController().signal)

test('rows that were written since the horizon get their events, and only these; what was published is not published again', async (t) => {
  const { sql } = await logDatabase(t)
  await things(sql)
  await sql`insert into things select generate_series(100, 110)`
  await insertDomainEvents(sql, [event('CREATED:2')])
  const horizon = await horizonOf(sql)
  await sql`insert into things (id) values (1), (2)`
  await sql`update things set amount = 1 where id = 105`
  await sql`delete from things where id = 106`
  await sql.begin(async (tx) => {
    await tx`insert into things (id) values (3)`
    await tx.savepoint((inner) => inner`insert into things (id) values (4)`)
  })
  assert.equal(await recover(sql, horizon), 4)
  assert.deepEqual((await published(sql)).toSorted(), [
    'CREATED:1',
    'CREATED:105',
    'CREATED:2',
    'CREATED:3',
    'CREATED:4',
  ])
  assert.equal(await recover(sql, horizon), 0)
})

test('a definition sees such a row as a snapshot row, with the values that the stream would have given', async (t) => {
  const { sql } = await logDatabase(t)
  await things(sql)
  const horizon = await horizonOf(sql)
  await sql`insert into things values (1, 12.5, true, '2026-11-22 18:48:24.5+00', '{"a": [1]}')`
  const seen: RowChangeView[] = []
  const derive = (change: RowChangeView) => {
    seen.push(change)
    return []
  }
  await recover(sql, horizon, [{ ...definition, derive }])
  const expected: Record<string, Value> = {
    id: 1,
    amount: '12.50',
    'Odd "name': true,
    made_at: '2026-11-22T18:48:24.500000Z',
    details: { a: [1] },
  }
  assert.deepEqual([seen[0]?.op, seen[0]?.before, seen[0]?.after], ['r', null, expected])
  assert.match(seen[0]?.source.lsn ?? '', /^[0-9A-F]+\/[0-9A-F]+$/)
})

test('many rows are read a few at a time, and all of them get their events', async (t) => {
  const { sql } = await logDatabase(t)
  await things(sql)
  const horizon = await horizonOf(sql)
  await sql`insert into things select generate_series(1000, 2234)`
  assert.equal(await recover(sql, horizon), 1235)
  const ids = (await published(sql)).map((id) => id.replace('CREATED:', ''))
  assert.deepEqual(
    ids,
    Array.from({ length: 1235 }, (_, index) => String(1000 + index)),
  )
})

test('rows that were frozen since are old, whatever their xmin says', async (t) => {
  const { sql } = await logDatabase(t)
  await things(sql)
  await sql`insert into things (id) values (1)`
  await sql`vacuum (freeze) things`
  const horizon = await horizonOf(sql)
  await sql`insert into things (id) values (2)`
  await recover(sql, horizon)
  assert.deepEqual(await published(sql), ['CREATED:2'])
})

test('L4: a row for which the definition throws is set aside, once, and the others get their events', async (t) => {
  const { sql } = await logDatabase(t)
  await things(sql)
  const horizon = await horizonOf(sql)
  await sql`insert into things (id) values (12), (13), (14)`
  await recover(sql, horizon)
  await recover(sql, horizon)
  assert.deepEqual(await published(sql), ['CREATED:12', 'CREATED:14'])
  const [letter, ...more] = await listDeadLetters(sql)
  assert.deepEqual(more, [])
  assert.deepEqual([letter?.source, letter?.attempts, letter?.errorCode], ['public.things', 2, 'EVENT_FAILED'])
  assert.doesNotMatch(letter?.errorMessage ?? '', /secret/)
})

test('an abort ends the search', async (t) => {
  const { sql } = await logDatabase(t)
  await things(sql)
  await sql`insert into things (id) values (1)`
  const searching = publishMissedEvents({ sql, log: SILENT }, [definition], 3n, AbortSignal.abort(new Error('enough')))
  await assert.rejects(searching, /enough/)
})
