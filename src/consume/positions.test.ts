import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HISTORY, LATER_HISTORY, lsn, place } from './change-fixture.ts'
import { createFsyncWindow } from './fsync-window.ts'
import { createHorizon } from './horizon.ts'
import { decideResume } from './resume.ts'
import { formatHistory, formatStoredPosition, positionWithin } from './stored-position.ts'
import type { Seen } from './visibility.ts'

test('L2: what was applied is durable one window later, not sooner', () => {
  let nowMs = 0
  const window = createFsyncWindow({ windowMs: 1000, now: () => nowMs })
  assert.equal(window.durableLsn(), null)
  window.applied(lsn(5))
  nowMs = 999
  assert.equal(window.durableLsn(), null)
  nowMs = 1000
  assert.equal(window.durableLsn(), lsn(5))
})

test('L2: calls that share an entry of the window are durable when the last of them is', () => {
  let nowMs = 0
  const window = createFsyncWindow({ windowMs: 1000, now: () => nowMs })
  for (let number = 0; number < 100; number++) {
    nowMs = number
    window.applied(lsn(number))
  }
  nowMs = 1098
  assert.equal(window.durableLsn(), null)
  nowMs = 1099
  assert.equal(window.durableLsn(), lsn(99))
})

test('a steady stream is never durable beyond what is a window old, and stays behind it by a tenth at most', () => {
  let nowMs = 0
  const window = createFsyncWindow({ windowMs: 1000, now: () => nowMs })
  for (; nowMs < 10_000; nowMs += 7) {
    window.applied(lsn(nowMs))
    const durable = window.durableLsn()
    if (durable !== null) assert.ok(Number(durable) <= nowMs - 1000)
    if (nowMs > 1200) assert.ok(Number(durable) >= nowMs - 1000 - 120, `at ${nowMs} only ${durable}`)
  }
})

test('without a window what was applied is durable at once', () => {
  const window = createFsyncWindow({ windowMs: 0, now: () => 5 })
  window.applied(lsn(5))
  assert.equal(window.durableLsn(), lsn(5))
})

const seen = (xmin: number, insertLsn: number): Seen => ({
  snapshot: { xmin: BigInt(xmin), xmax: BigInt(xmin + 3), running: new Set() },
  insertLsn: lsn(insertLsn),
})

test('the horizon moves to a snapshot only when everything that commits before its insert position is processed', () => {
  const horizon = createHorizon(null)
  horizon.reached(lsn(100), seen(50, 120))
  assert.equal(horizon.xid(), null)
  horizon.reached(lsn(119), seen(60, 130))
  assert.equal(horizon.xid(), null)
  horizon.reached(lsn(120), seen(60, 130))
  assert.equal(horizon.xid(), 50n)
  horizon.reached(lsn(129), seen(90, 200))
  assert.equal(horizon.xid(), 50n, 'the next candidate is the one that was at hand')
  horizon.reached(lsn(130), undefined)
  assert.equal(horizon.xid(), 60n)
  horizon.reached(lsn(1000), undefined)
  assert.equal(horizon.xid(), 60n)
})

test('a horizon that was stored holds until there is a newer one', () => {
  const horizon = createHorizon(7n)
  horizon.reached(lsn(100), seen(50, 120))
  assert.equal(horizon.xid(), 7n)
})

test('L2: the log is continued from the stored position if it reaches back to it, else all is forgotten', () => {
  const resumeLsn = lsn(100)
  const beginning = place(100)
  assert.deepEqual(decideResume({ stored: place(100), resumeLsn }), { kind: 'continue', from: place(100) })
  assert.deepEqual(decideResume({ stored: place(150, 3), resumeLsn }), { kind: 'continue', from: place(150, 3) })
  assert.deepEqual(decideResume({ stored: place(99, 7), resumeLsn }), { kind: 'forget', from: beginning })
  assert.deepEqual(decideResume({ stored: undefined, resumeLsn }), { kind: 'forget', from: beginning })
})

test('a stored position reads back within its history, and is none in any other', () => {
  const text = formatStoredPosition(HISTORY, place(150, 3))
  assert.deepEqual(positionWithin(HISTORY, text), place(150, 3))
  assert.equal(positionWithin(LATER_HISTORY, text), undefined)
  assert.equal(positionWithin({ ...HISTORY, timeline: 2 }, text), undefined)
  assert.equal(positionWithin({ ...HISTORY, systemIdentifier: '8' }, text), undefined)
})

test("what is not of ours is no position: nothing, a stranger's text, a text cut short", () => {
  const own = formatHistory(HISTORY)
  for (const text of [null, '', '|', 'hello', own, `${own}|`, `${own}|12`, `${own}|000000000000000A/3`]) {
    assert.equal(positionWithin(HISTORY, text), undefined, String(text))
  }
})

test('stored positions of one history sort as texts as they do in the stream', () => {
  const positions = [place(9), place(10), place(10, 2), place(10, 11), place(255), place(4096, 1)]
  const texts = positions.map((position) => formatStoredPosition(HISTORY, position))
  assert.deepEqual(texts.toSorted(), texts)
})
