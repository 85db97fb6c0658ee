import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compileViews } from '../../cache/compiled-view.ts'
import { SHOP_VIEWS } from '../../cache/protocol-fixture.ts'
import { toLsn } from '../../change/lsn.ts'
import { type EntryVersion } from '../entry-version.ts'
import { type Absence, isMissing } from './absences.ts'
import { claimsCurrent } from './claim.ts'
import { createHeldKeys, type Held } from './held.ts'
import { createMoments, type Moment } from './moments.ts'
import { ninesOf } from './nines.ts'

const lsn = (value: number) => toLsn(BigInt(value))
const change = (at: number, xid: bigint): EntryVersion => ({ kind: 'change', code: 'aa', lsn: lsn(at), xid })
const read = (snapshot: string): EntryVersion => ({ kind: 'read', code: 'aa', snapshot })

test('an entry claims to be current if it is of the change that made the row, of a snapshot that shows it, or of the future', () => {
  const known = { rowXid: 750n, xmax: 760n, insertLsn: lsn(1000) }
  assert.equal(claimsCurrent(change(900, 750n), known), true)
  // Whichever number is greater: a transaction may begin before another one and write the row after it.
  assert.equal(claimsCurrent(change(900, 749n), known), false)
  assert.equal(claimsCurrent(change(900, 751n), known), false)
  assert.equal(claimsCurrent(change(1001, 749n), known), true)
  assert.equal(claimsCurrent(change(900, 760n), known), true)
  assert.equal(claimsCurrent(read('755:756:'), known), true)
  assert.equal(claimsCurrent(read('750:751:750'), known), false)
  assert.equal(claimsCurrent(read('749:750:'), known), false)
  assert.equal(claimsCurrent(read('749:900:749'), { ...known, rowXid: 749n }), true)
  assert.equal(claimsCurrent(read('755:756:'), { ...known, rowXid: undefined }), false)
})

const view = compileViews(SHOP_VIEWS).byName('entity')
assert.ok(view.kind === 'row')
const absence = (xid: bigint, insertLsn: number): Absence => ({
  view,
  key: 'item:1',
  xid,
  insertLsn: lsn(insertLsn),
  sinceMs: 0,
})
const moment = (atMs: number, xmax: bigint, upheavals = 'none'): Moment => ({ atMs, xmax, upheavals })

test('a key is missing only if the row is the same, the consumers passed it, and no entry may have gone for a good reason', () => {
  const moments = createMoments()
  moments.note(moment(1_000, 700n))
  moments.note(moment(2_000, 750n))
  const known = { reached: lsn(500), moments, now: moment(9_000, 800n), nowMs: 9_100 }
  const first = absence(760n, 500)
  assert.equal(isMissing(first, absence(760n, 600), known), true)
  assert.equal(isMissing(first, absence(761n, 600), known), false, 'the row has changed again')
  assert.equal(isMissing(first, first, { ...known, reached: lsn(499) }), false, 'not passed yet')
  assert.equal(isMissing(first, first, { ...known, reached: null }), false)
  assert.equal(isMissing(absence(699n, 400), absence(699n, 400), known), false, 'nobody knows when it changed')
  assert.equal(isMissing(first, first, { ...known, now: moment(9_000, 800n, 'evicted') }), false)
  const ttlMs = view.view.ttlSeconds * 1000
  assert.equal(isMissing(first, first, { ...known, nowMs: 2_000 + ttlMs - 1 }), true)
  assert.equal(isMissing(first, first, { ...known, nowMs: 2_000 + ttlMs }), false, 'it may have expired')
})

test('of the moments some are kept for long, and never more than a bound', () => {
  const moments = createMoments()
  for (let n = 0; n < 100_000; n++) moments.note(moment(n, BigInt(n)))
  assert.equal(moments.lastBefore(100_000n)?.atMs, 99_999)
  assert.equal(moments.lastBefore(99_950n)?.atMs, 99_950)
  const middle = moments.lastBefore(50_000n)
  assert.ok(middle !== undefined && middle.atMs <= 50_000)
  assert.equal(moments.lastBefore(0n)?.atMs, 0)
})

test('held keys are bounded, each comes to its turn, and room is free again when they go', () => {
  const held = createHeldKeys()
  const one = (n: number, parts = 1): Held => ({
    what: 'difference',
    violation: null,
    suspect: {
      view,
      key: `item:${n}`,
      difference: 'stale',
      parts: new Map(
        Array.from({ length: parts }, (_, part) => [
          String(part),
          { digest: '', insertLsn: null, sinceMs: 0, isUntouched: true },
        ]),
      ),
    },
  })
  let kept = 0
  for (let n = 0; n < 20_000; n++) if (held.put(one(n))) kept++
  assert.equal(kept, 10_000)
  const turns = new Set(
    Array.from({ length: 20 }, () => held.take(500)).flatMap((some) =>
      some.map((of) => (of.what === 'difference' ? of.suspect.key : '')),
    ),
  )
  assert.equal(turns.size, 10_000)
  held.drop('item:7')
  assert.equal(held.put(one(7)), true)
  assert.equal(held.put(one(10_001)), false)
  // A list with more differing members than that is still followed, alone.
  for (let n = 0; n < 20_000; n++) held.drop(`item:${n}`)
  assert.equal(held.put(one(1, 30_000)), true)
  assert.equal(held.put(one(2)), false)
})

test('nines are what the number of looks can prove: 3,000 right ones are three, and violations cost theirs', () => {
  assert.equal(ninesOf(0, 0), 0)
  assert.ok(Math.abs(ninesOf(3_000, 0) - 3) < 0.02)
  assert.ok(Math.abs(ninesOf(4_744, 1) - 3) < 0.02)
  assert.ok(ninesOf(1_000_000, 100) < 4)
  assert.equal(ninesOf(10, 10), 0)
})
