import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { formatLsn, lsnFromFixedHex, lsnToFixedHex, maxLsn, minLsn, parseLsn, toLsn } from './lsn.ts'
import { comparePositions, formatPosition, parsePosition, type Position } from './position.ts'
import { extendXid, isVisible, parseSnapshot } from './transaction-id.ts'

const MAX = 2n ** 64n - 1n
const anyLsn = fc.bigInt({ min: 0n, max: MAX }).map(toLsn)
const anyPosition: fc.Arbitrary<Position> = fc
  .tuple(anyLsn, fc.integer({ min: 0, max: 9_999_999_999 }))
  .map(([commitLsn, ordinal]) => ({ commitLsn, ordinal }))
const sign = (number: number): number => Math.sign(number)

test("LSNs read back from PostgreSQL's notation and from the fixed one, and sort as texts in the fixed one", () => {
  assert.equal(formatLsn(toLsn(0x16_b374_d848n)), '16/B374D848')
  assert.equal(parseLsn('16/b374d848'), 0x16_b374_d848n)
  fc.assert(
    fc.property(anyLsn, anyLsn, (a, b) => {
      assert.equal(parseLsn(formatLsn(a)), a)
      assert.equal(lsnFromFixedHex(lsnToFixedHex(a)), a)
      assert.equal(lsnToFixedHex(a) < lsnToFixedHex(b), a < b)
      assert.deepEqual([minLsn(a, b), maxLsn(a, b)], a < b ? [a, b] : [b, a])
    }),
  )
})

test('what is no LSN is refused', () => {
  for (const text of ['', '/', '0', '0/', '/0', '1/123456789', 'x/0', '0/0 ', '-1/0']) {
    assert.throws(() => parseLsn(text), RangeError, text)
  }
  for (const text of ['', '0', 'ABCDEF', '00000000000000ab', '0000000000000000A']) {
    assert.throws(() => lsnFromFixedHex(text), RangeError, text)
  }
  assert.throws(() => toLsn(-1n), RangeError)
  assert.throws(() => toLsn(MAX + 1n), RangeError)
})

test('positions read back, and their texts sort as they do', () => {
  fc.assert(
    fc.property(anyPosition, anyPosition, (a, b) => {
      assert.deepEqual(parsePosition(formatPosition(a)), a)
      const texts = [formatPosition(a), formatPosition(b)] as const
      assert.equal(sign(comparePositions(a, b)), sign(texts[0] < texts[1] ? -1 : Number(texts[0] > texts[1])))
    }),
  )
  for (const text of ['', '0/0', '0000000000000001/1', '0000000000000001/00000000001']) {
    assert.throws(() => parsePosition(text), RangeError, text)
  }
})

const EPOCH = 2n ** 32n

test('a 32-bit xid is the one of 64 bits that is nearest to a snapshot of its time, around every wrap', () => {
  const near = (text: string): bigint => BigInt(text)
  assert.equal(extendXid(10, 20n), 10n)
  assert.equal(extendXid(30, 20n), 30n, 'a little later than the snapshot')
  assert.equal(extendXid(5, EPOCH - 5n), EPOCH + 5n, 'just after the wrap, seen from before it')
  assert.equal(extendXid(0xffff_fffb, EPOCH + 5n), EPOCH - 5n, 'just before the wrap, seen from after it')
  assert.equal(extendXid(0xffff_ffff, near('3') * EPOCH), 3n * EPOCH - 1n)
  assert.equal(extendXid(0, 7n * EPOCH - 1n), 7n * EPOCH)
  fc.assert(
    fc.property(
      fc.bigInt({ min: 2n ** 31n, max: 2n ** 60n }),
      fc.bigInt({ min: -(2n ** 31n) + 1n, max: 2n ** 31n - 1n }),
      (snapshot, distance) => {
        const xid = snapshot + distance
        assert.equal(extendXid(Number(xid % EPOCH), snapshot), xid)
      },
    ),
  )
})

test('in the first epoch there is no epoch before: what seems to be of one is still to come, and is not visible', () => {
  const snapshot = parseSnapshot('100:100:')
  const xid = extendXid(0xffff_fff0, snapshot.xmax)
  assert.equal(xid, 0xffff_fff0n)
  assert.equal(isVisible(xid, snapshot), false)
})

test('a transaction is visible if it is below xmin, or below xmax and not running', () => {
  const snapshot = parseSnapshot('10:20:10,14')
  const visible = [9, 10, 11, 13, 14, 15, 19, 20, 21].filter((xid) => isVisible(BigInt(xid), snapshot))
  assert.deepEqual(visible, [9, 11, 13, 15, 19])
  assert.deepEqual(parseSnapshot('5:5:'), { xmin: 5n, xmax: 5n, running: new Set() })
  for (const text of ['', '5', '5:5', 'a:b:', '5:5:x']) assert.throws(() => parseSnapshot(text), RangeError, text)
})
