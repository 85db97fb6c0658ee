import assert from 'node:assert/strict'
import test from 'node:test'

import { createSeenPositions } from './trust.ts'
import { createUnsettled } from './unsettled.ts'
import { compileViews } from './compiled-view.ts'
import { SHOP_VIEWS } from './protocol-fixture.ts'
import { toLsn } from '../change/lsn.ts'

void test('L2: positions may only go forward, each by itself', () => {
  const seen = createSeenPositions()
  assert.equal(seen.judge([null, null]), 'unknown', 'no consumer follows this Redis')
  assert.equal(seen.judge(['h|2', null]), 'current')
  assert.equal(seen.judge(['h|2', 'h|1']), 'current')
  assert.equal(seen.judge(['h|3', null]), 'behind')
  assert.equal(seen.judge(['h|1', 'h|1']), 'behind')
  assert.equal(seen.judge(['h|2', 'h|1']), 'current')
})

void test('L2: a history that another has followed is behind', () => {
  const seen = createSeenPositions()
  assert.equal(seen.judge(['old|9']), 'current')
  assert.equal(seen.judge(['new|1']), 'current')
  assert.equal(seen.judge(['old|9']), 'behind')
})

void test('L2: what a stranger wrote in place of a position is behind, and no history that ours belongs to the past of', () => {
  const seen = createSeenPositions()
  assert.equal(seen.judge(['h|1']), 'current')
  for (const strange of ['', 'zz', '|', 'h|', '|1', 'h|x', 'h||1'])
    assert.equal(seen.judge([strange]), 'behind', strange)
  assert.equal(seen.judge(['h|1']), 'current')
})

void test('P2: answers that Redis was not told of are owed until they are paid, and beyond what is remembered until marks run out', async () => {
  let now = 0
  const view = compileViews(SHOP_VIEWS).byName('entity')
  const unsettled = createUnsettled({ maxKeys: 2, markTtlMs: 100, now: () => now })
  unsettled.add(view, 'item:1', toLsn(5n))
  unsettled.add(view, 'item:1', toLsn(3n))
  await assert.rejects(unsettled.pay(() => Promise.reject(new Error('still away'))))
  const paid: unknown[] = []
  const pay = (): Promise<boolean> =>
    unsettled.pay(async (_, answered) => {
      paid.push(...answered.map(({ key, insertLsn }) => [key, Number(insertLsn)]))
      await Promise.resolve()
    })
  assert.equal(await pay(), true)
  assert.deepEqual(paid, [['item:1', 5]])
  for (const key of ['item:1', 'item:2', 'item:3']) unsettled.add(view, key, toLsn(5n))
  assert.equal(await pay(), false)
  now = 100
  assert.equal(await pay(), true)
})
