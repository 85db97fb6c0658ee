import assert from 'node:assert/strict'
import { test } from 'node:test'

import { decideCacheResume, lostWrites } from './cache-resume.ts'
import { HISTORY, LATER_HISTORY, lsn, place } from './change-fixture.ts'
import { formatStoredPosition } from './stored-position.ts'

const here = (number: number): string => formatStoredPosition(HISTORY, place(number))
const elsewhere = formatStoredPosition(LATER_HISTORY, place(99))
const facts = { role: 'together', history: HISTORY, resumeLsn: lsn(10) } as const

test('L2: where the log reaches back to both, nothing is forgotten and nothing is moved', () => {
  const decided = decideCacheResume({ ...facts, stored: { invalidator: here(10), warmer: here(30) } })
  assert.deepEqual(decided, {
    forget: 'nothing',
    moves: [],
    at: { invalidator: place(10), warmer: place(30) },
    texts: { invalidator: here(10), warmer: here(30) },
  })
})

test('L2: a position behind the log, or none, forgets what is cached and begins where the log does', () => {
  for (const stored of [here(9), null]) {
    const decided = decideCacheResume({ ...facts, stored: { invalidator: stored, warmer: here(30) } })
    assert.equal(decided.forget, 'entries')
    assert.deepEqual(decided.moves, [{ part: 'invalidate', from: stored, to: here(10) }])
    assert.deepEqual(decided.at, { invalidator: place(10), warmer: place(30) })
    assert.deepEqual(decided.texts, { invalidator: here(10), warmer: here(30) })
  }
})

test('in another history the fences go too, unless a consumer has begun to raise new ones', () => {
  const forget = (invalidator: string | null, warmer: string | null): string =>
    decideCacheResume({ ...facts, role: 'cache-warmer', stored: { invalidator, warmer } }).forget
  assert.equal(forget(elsewhere, elsewhere), 'history')
  assert.equal(forget(elsewhere, null), 'history', 'the fences that are there are of the other history')
  assert.equal(forget(here(20), elsewhere), 'entries', 'the invalidator has raised fences since')
  assert.equal(forget(null, null), 'entries')
})

test('a consumer that is alone moves only its own position', () => {
  const stored = { invalidator: elsewhere, warmer: elsewhere }
  const decided = decideCacheResume({ ...facts, role: 'cache-invalidator', stored })
  assert.deepEqual(
    decided.moves.map(({ part }) => part),
    ['invalidate'],
  )
  assert.equal(decided.texts.warmer, elsewhere)
})

test('L2: writes are lost where Redis is behind what was applied, holds nothing, or another history; ahead is no loss', () => {
  const applied = { invalidator: place(20), warmer: place(15) }
  const lost = (invalidator: string | null, warmer: string | null) =>
    lostWrites('together', { stored: { invalidator, warmer }, applied, history: HISTORY })
  assert.equal(lost(here(20), here(15)), null, 'each is held against its own')
  assert.equal(lost(here(25), here(25)), null)
  assert.equal(lost(here(19), here(15)), 'invalidate')
  assert.equal(lost(here(20), here(14)), 'warm')
  assert.equal(lost(null, null), 'invalidate')
  assert.equal(lost(here(20), elsewhere), 'warm')
  const stored = { invalidator: null, warmer: here(15) }
  assert.equal(lostWrites('cache-warmer', { stored, applied, history: HISTORY }), null, 'the other is not its affair')
})
