import assert from 'node:assert/strict'
import test from 'node:test'

import { statusOf } from './protocol-fixture.ts'
import { readerFixture } from './reader-fixture.ts'
import type { Document, ListView, QueryView, RowView } from './view.ts'

const idOf = ({ id }: Document): string => (typeof id === 'string' ? id : '')

void test('the first read of a row fills its key, the second is a hit, and both give the same document', async (t) => {
  const { reader, sql, view, get } = await readerFixture(t)
  await sql`insert into items values ('1', 'ann', 'NEW', null)`
  const entity = view('entity').view as RowView
  assert.deepEqual(await reader.get(entity, { id: '1' }), { value: { id: '1', status: 'NEW' }, source: 'miss' })
  assert.deepEqual(await reader.get(entity, { id: '1' }), { value: { id: '1', status: 'NEW' }, source: 'hit' })
  assert.equal(statusOf(await get('item:1')), 'NEW')
})

void test('an unknown id leaves nothing at its key, and is known to be unknown until its row is inserted', async (t) => {
  const { reader, change, process, view, redis } = await readerFixture(t)
  const entity = view('entity').view as RowView
  assert.deepEqual(await reader.get(entity, { id: '1' }), { value: null, source: 'miss' })
  assert.deepEqual(await reader.get(entity, { id: '1' }), { value: null, source: 'hit' })
  assert.equal(await redis.command('EXISTS', 'item:1'), 0)
  const inserted = await change(`insert into items values ('1', 'ann', 'NEW', null)`)
  await process(inserted, view('entity'), 'item:1', { kind: 'value', document: '{"id":"1","status":"NEW"}' })
  assert.deepEqual(await reader.get(entity, { id: '1' }), { value: { id: '1', status: 'NEW' }, source: 'hit' })
})

void test('a list is filled whole, an empty one too', async (t) => {
  const { reader, sql, view, redis } = await readerFixture(t)
  await sql`insert into items values ('1', 'ann', 'NEW', null), ('2', 'ann', 'OLD', null), ('3', 'bob', 'NEW', null)`
  const list = view('by-owner').view as ListView
  const first = await reader.list(list, { owner: 'ann' })
  assert.equal(first.source, 'miss')
  assert.deepEqual(
    first.value.map(idOf).toSorted((a, b) => a.localeCompare(b)),
    ['1', '2'],
  )
  const second = await reader.list(list, { owner: 'ann' })
  assert.equal(second.source, 'hit')
  assert.deepEqual(
    second.value.map(idOf).toSorted((a, b) => a.localeCompare(b)),
    ['1', '2'],
  )
  assert.deepEqual(await reader.list(list, { owner: 'eve' }), { value: [], source: 'miss' })
  assert.deepEqual(await reader.list(list, { owner: 'eve' }), { value: [], source: 'hit' })
  assert.deepEqual(Object.keys((await redis.command('HGETALL', 'items:owner:eve')) as object), ['_v'])
})

void test('a query view is filled by its own SQL', async (t) => {
  const { reader, sql, view } = await readerFixture(t)
  await sql`insert into items values ('1', 'ann', 'NEW', null), ('2', 'ann', 'OLD', null)`
  const count = view('count').view as QueryView
  assert.deepEqual(await reader.get(count, { owner: 'ann' }), { value: { items: '2' }, source: 'miss' })
  assert.deepEqual(await reader.get(count, { owner: 'ann' }), { value: { items: '2' }, source: 'hit' })
})
