import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { DomainEvent } from '../log/domain-event.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import {
  insert,
  type ItemRow,
  message,
  progress,
  remove,
  snapshot,
  transaction,
  truncate,
  update,
  updateWithoutDetails,
} from './change-fixture.ts'
import { deriveEvents } from './derive-events.ts'
import type { EventDefinition, RowChangeView } from './event-definition.ts'

const told = (change: RowChangeView): DomainEvent => ({
  eventId: `${change.op}:${JSON.stringify((change.after ?? change.before)?.['id']).replaceAll('"', '')}`,
  topic: 'items',
  key: 'k',
  payload: {},
})

const definition = (more: Partial<EventDefinition> = {}): EventDefinition => ({
  topic: 'items',
  table: 'public.items',
  columns: ['id', 'status'],
  derive: (change) => [told(change)],
  ...more,
})

const ids = (derived: ReturnType<typeof deriveEvents>): string[] => derived.events.map(({ event }) => event.eventId)
const row = (id: string, status = 'NEW'): ItemRow => ({ id, status })

test('inserts, updates and deletes mean events, in order; snapshot rows, truncates, messages and progress mean none', () => {
  const items = [
    snapshot(5, [row('0')]),
    transaction(10, [insert(row('1')), update(row('1'), row('1', 'OLD')), remove(row('1'))]),
    progress(15),
    transaction(20, [truncate(), message()]),
    transaction(30, [insert(row('2'))]),
  ]
  const derived = deriveEvents(items, [definition()], 'test')
  assert.deepEqual(ids(derived), ['c:1', 'u:1', 'd:1', 'c:2'])
  assert.deepEqual(derived.xids, new Set([10, 30]))
  assert.deepEqual(derived.deadLetters, [])
})

test('a definition sees the columns that it names, before and after, and where the change comes from', () => {
  const seen: RowChangeView[] = []
  const see = definition({
    derive(change) {
      seen.push(change)
      return []
    },
  })
  const items = [transaction(10, [update(row('1'), row('1', 'OLD'))], { xid: 7 })]
  const derived = deriveEvents(items, [see], 'test')
  assert.deepEqual(seen, [
    {
      op: 'u',
      before: { id: '1', status: 'NEW' },
      after: { id: '1', status: 'OLD' },
      source: { lsn: '0/9', txId: 7, commitTime: '1970-01-01T00:00:10.000Z' },
    },
  ])
  assert.equal(derived.xids.size, 0, 'what means no event need not be visible')
})

test('a row that lacks a column that was asked for is null, not half a row', () => {
  const seen: RowChangeView[] = []
  const see = definition({
    columns: ['id', 'details'],
    derive(change) {
      seen.push(change)
      return []
    },
  })
  deriveEvents([transaction(10, [updateWithoutDetails(row('1'))])], [see], 'test')
  assert.deepEqual([seen[0]?.before, seen[0]?.after], [null, null])
})

test('other tables mean nothing, and of several definitions each gives its own', () => {
  const definitions = [
    definition({ table: 'public.others' }),
    definition(),
    definition({ derive: (change) => [{ ...told(change), eventId: 'second' }] }),
  ]
  assert.deepEqual(ids(deriveEvents([transaction(10, [insert(row('1'))])], definitions, 'test')), ['c:1', 'second'])
})

test('L4: a definition that throws harms its own change: it is set aside, with its row but without what was said of it', () => {
  const fails = definition({
    derive(change) {
      if (change.after?.['status'] === 'secret') throw new RangeError(`cannot handle ${String(change.after['status'])}`)
      return [told(change)]
    },
  })
  const items = [transaction(10, [insert(row('1')), insert(row('2', 'secret')), insert(row('3'))], { xid: 7 })]
  const derived = deriveEvents(items, [fails], 'test')
  assert.deepEqual(ids(derived), ['c:1', 'c:3'])
  const [letter] = derived.deadLetters
  assert.equal(derived.deadLetters.length, 1)
  assert.deepEqual(
    [letter?.consumer, letter?.source, letter?.position, letter?.errorCode, letter?.errorMessage],
    [
      'test',
      'public.items',
      '000000000000000A/0000000002',
      'EVENT_FAILED',
      'the event definition of public.items threw RangeError',
    ],
  )
  assert.deepEqual(letter?.subject.kind === 'row' && letter.subject.change?.after, { id: '2', status: 'secret' })
})

test('L4: an error of the catalogue keeps its code and message; whatever else is thrown is named, not quoted', () => {
  const thrown: readonly (readonly [unknown, string, RegExp])[] = [
    [new TrackOpsError('DECODE', 'a column does not read as it should'), 'DECODE', /^a column does not read/],
    ['secret', 'EVENT_FAILED', /threw something that is not an error$/],
    [undefined, 'EVENT_FAILED', /threw something that is not an error$/],
  ]
  for (const [error, code, text] of thrown) {
    const fails = definition({
      derive() {
        throw error
      },
    })
    const [letter] = deriveEvents([transaction(10, [insert(row('1'))])], [fails], 'test').deadLetters
    assert.equal(letter?.errorCode, code)
    assert.match(letter?.errorMessage ?? '', text)
    assert.doesNotMatch(letter?.errorMessage ?? '', /secret/)
  }
})

test('L4: a row whose text cannot be read is set aside without it', () => {
  const reads = definition({ columns: ['id', 'details'] })
  const derived = deriveEvents([transaction(10, [insert({ id: '1', details: '{"secret": ' })])], [reads], 'test')
  const [letter] = derived.deadLetters
  assert.deepEqual(letter?.subject, { kind: 'row', topic: 'items', table: 'public.items', change: null })
  assert.doesNotMatch(JSON.stringify(letter), /secret/)
})

test('L4: what is no event is set aside where it is derived, and does not fail the transaction that publishes', () => {
  const wrong: readonly unknown[] = [
    undefined,
    {},
    [undefined],
    [{ eventId: '', topic: 'items', key: 'k', payload: {} }],
    [{ eventId: 1, topic: 'items', key: 'k', payload: {} }],
    [{ eventId: 'a', topic: 'items', payload: {} }],
    [{ eventId: 'a', topic: 'items', key: 'k', payload: null }],
  ]
  for (const given of wrong) {
    const fails = definition({ derive: () => given as readonly DomainEvent[] })
    const derived = deriveEvents([transaction(10, [insert(row('1'))])], [fails], 'test')
    assert.deepEqual([derived.events.length, derived.deadLetters.length], [0, 1], JSON.stringify(given))
  }
})
