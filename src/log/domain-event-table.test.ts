import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import { waitFor } from '../../test/support/wait-for.ts'
import { insertDomainEvents, pruneDomainEvents, readDomainEvents } from './domain-event-table.ts'
import { event, logDatabase, published } from './log-fixture.ts'

/** As a reader does: goes on behind the last seq that it saw. */
function readerOf(sql: Sql) {
  let afterSeq = 0n
  const ids: string[] = []
  return {
    ids,
    async read() {
      const events = await readDomainEvents(sql, { topic: 'things', afterSeq, limit: 2 })
      ids.push(...events.map(({ eventId }) => eventId))
      afterSeq = events.at(-1)?.seq ?? afterSeq
      return events.length
    },
  }
}

test('a writer that drew its seq first and commits late is not stepped over', async (t) => {
  const { sql } = await logDatabase(t)
  const reader = readerOf(sql)
  const hasWritten = Promise.withResolvers<void>()
  const mayCommit = Promise.withResolvers<void>()
  const first = sql.begin(async (tx) => {
    await insertDomainEvents(tx, [event('first')])
    hasWritten.resolve()
    await mayCommit.promise
  })
  await hasWritten.promise
  let isSecondOver = false
  const second = insertDomainEvents(sql, [event('second')]).finally(() => (isSecondOver = true))
  await waitFor(
    () => sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    { what: 'the second writer to wait for its turn', until: (rows) => rows.length === 1 },
  )
  assert.equal(await reader.read(), 0)
  assert.equal(isSecondOver, false)
  mayCommit.resolve()
  await Promise.all([first, second])
  while ((await reader.read()) > 0);
  assert.deepEqual(reader.ids, ['first', 'second'])
})

test('writers that commit and roll back side by side: a reader that goes by seq sees every event, once', async (t) => {
  const { sql } = await logDatabase(t)
  const reader = readerOf(sql)
  const expected: string[] = []
  let isWriting = true
  const reading = (async () => {
    for (;;) {
      const wasWriting = isWriting
      if ((await reader.read()) === 0 && !wasWriting) return
    }
  })()
  await Promise.all(
    Array.from({ length: 4 }, async (_, writer) => {
      for (let number = 0; number < 25; number++) {
        const ids = [`${writer}/${number}/a`, `${writer}/${number}/b`]
        await sql
          .begin(async (tx) => {
            for (const id of ids) await insertDomainEvents(tx, [event(id)])
            if (number % 5 === 4) throw new Error('roll back')
            await tx`select pg_sleep(random() / 500)`
          })
          .then(
            () => expected.push(...ids),
            () => undefined,
          )
      }
    }),
  )
  isWriting = false
  await reading
  assert.equal(reader.ids.length, 4 * 20 * 2)
  assert.deepEqual(reader.ids.toSorted(), expected.toSorted())
  assert.deepEqual(reader.ids, await published(sql))
})

test('an event is published once: the first publication counts, in one call as over many', async (t) => {
  const { sql } = await logDatabase(t)
  assert.equal(await insertDomainEvents(sql, [event('a', { payload: { nr: 1 } }), event('b')]), 2)
  assert.equal(await insertDomainEvents(sql, [event('a', { payload: { nr: 2 } }), event('c'), event('c')]), 1)
  const events = await readDomainEvents(sql, { topic: 'things', afterSeq: 0n, limit: 10 })
  assert.deepEqual(
    events.map(({ eventId, payload }) => [eventId, payload]),
    [
      ['a', { nr: 1 }],
      ['b', { eventId: 'b' }],
      ['c', { eventId: 'c' }],
    ],
  )
})

test('events of one call keep their order, and payloads and keys their text', async (t) => {
  const { sql } = await logDatabase(t)
  const payload = { text: `"',{}\\ \u{1f680} \n`, nothing: null, list: [1, 'x', { deep: true }], amount: '12.50' }
  const many = Array.from({ length: 500 }, (_, index) => event(`e${499 - index}`, { payload, key: '{",\\}' }))
  await insertDomainEvents(sql, many)
  const events = await readDomainEvents(sql, { topic: 'things', afterSeq: 0n, limit: 1000 })
  assert.deepEqual(
    events.map(({ seq: _seq, ...rest }) => rest),
    many,
  )
})

test('a reader that takes a few at a time skips none where the numbers get longer', async (t) => {
  const { sql } = await logDatabase(t)
  const many = Array.from({ length: 120 }, (_, index) => event(`e${index}`))
  await insertDomainEvents(sql, many)
  const reader = readerOf(sql)
  while ((await reader.read()) > 0);
  assert.deepEqual(
    reader.ids,
    many.map(({ eventId }) => eventId),
  )
})

test('a reader sees its own topic only', async (t) => {
  const { sql } = await logDatabase(t)
  await insertDomainEvents(sql, [event('a', { topic: 'others' }), event('b')])
  assert.deepEqual(
    (await readDomainEvents(sql, { topic: 'others', afterSeq: 0n, limit: 10 })).map(({ eventId }) => eventId),
    ['a'],
  )
})

test('what is older than the retention is removed, and nothing else', async (t) => {
  const { sql } = await logDatabase(t)
  await insertDomainEvents(sql, [event('old'), event('young')])
  await sql`update trackops.domain_events set created_at = now() - interval '2 hours' where event_id = 'old'`
  assert.equal(await pruneDomainEvents(sql, 3600), 1)
  assert.deepEqual(await published(sql), ['young'])
})
