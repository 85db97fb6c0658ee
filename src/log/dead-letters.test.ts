import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  countDeadLetters,
  type DeadLetter,
  findDeadLetter,
  insertDeadLetters,
  listDeadLetters,
  markReplayed,
  pruneDeadLetters,
  requestedReplays,
  requestReplay,
} from './dead-letters.ts'
import { event, logDatabase } from './log-fixture.ts'

const letter = (position: string, more: Partial<DeadLetter> = {}): DeadLetter => ({
  consumer: 'reader',
  source: 'things',
  position,
  subject: { kind: 'event', event: event(position) },
  errorCode: 'UNKNOWN',
  errorMessage: 'the handler threw Error',
  attempts: 1,
  ...more,
})

test('the same event set aside again is the same letter, with more attempts, and waits again', async (t) => {
  const { sql } = await logDatabase(t)
  await insertDeadLetters(sql, [letter('1'), letter('2'), letter('1', { consumer: 'other' })])
  const [first] = await listDeadLetters(sql)
  await markReplayed(sql, first?.id ?? '')
  assert.equal(await countDeadLetters(sql), 2)
  await insertDeadLetters(sql, [letter('1', { attempts: 2, errorCode: 'TIMEOUT' })])
  const again = await findDeadLetter(sql, first?.id ?? '')
  assert.deepEqual([again?.attempts, again?.errorCode, again?.replayedAt], [3, 'TIMEOUT', null])
  assert.equal(await countDeadLetters(sql), 3)
})

test('a request for a replay is for the consumer and the source that set it aside, and is over when it failed', async (t) => {
  const { sql } = await logDatabase(t)
  await insertDeadLetters(sql, [letter('1'), letter('2')])
  const [first] = await listDeadLetters(sql)
  await requestReplay(sql, first?.id ?? '')
  const positions = async (consumer: string, source: string): Promise<string[]> =>
    (await requestedReplays(sql, consumer, source)).map(({ position }) => position)
  assert.deepEqual(await positions('reader', 'things'), ['1'])
  assert.deepEqual(await positions('other', 'things'), [])
  assert.deepEqual(await positions('reader', 'others'), [])
  await insertDeadLetters(sql, [letter('1')])
  assert.deepEqual(await positions('reader', 'things'), [])
})

test('what jsonb cannot hold can be set aside all the same', async (t) => {
  const { sql } = await logDatabase(t)
  const nul = String.fromCharCode(0)
  const half = String.fromCharCode(0xd83d)
  const payload = { text: `a${nul}b${half}c\\u0000 \u{1f680} \\${nul}`, [`name${nul}`]: 'x' }
  await insertDeadLetters(sql, [letter('1', { subject: { kind: 'event', event: event('1', { payload }) } })])
  const [stored] = await listDeadLetters(sql)
  assert.deepEqual(stored?.subject, {
    kind: 'event',
    event: event('1', { payload: { text: 'a\ufffdb\ufffdc\\u0000 \u{1f680} \\\ufffd', 'name\ufffd': 'x' } }),
  })
})

test('letters are listed in the order in which they came, also where their numbers get longer', async (t) => {
  const { sql } = await logDatabase(t)
  const positions = Array.from({ length: 12 }, (_, index) => String(index))
  await insertDeadLetters(
    sql,
    positions.map((position) => letter(position)),
  )
  assert.deepEqual(
    (await listDeadLetters(sql)).map(({ position }) => position),
    positions,
  )
  const [first] = await listDeadLetters(sql, { limit: 1 })
  assert.equal(first?.position, '0')
})

test('only what was replayed grows old; what waits for somebody stays', async (t) => {
  const { sql } = await logDatabase(t)
  await insertDeadLetters(sql, [letter('1'), letter('2'), letter('3')])
  const [first, second] = await listDeadLetters(sql)
  await markReplayed(sql, first?.id ?? '')
  await markReplayed(sql, second?.id ?? '')
  await sql`update trackops.dead_letters set created_at = now() - interval '9 days'`
  await sql`update trackops.dead_letters set replayed_at = now() - interval '9 days' where position = '1'`
  await pruneDeadLetters(sql, 7 * 86_400)
  const left = await listDeadLetters(sql, { includeReplayed: true })
  assert.deepEqual(
    left.map(({ position }) => position),
    ['2', '3'],
  )
})
