import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Admin } from '@platformatic/kafka'
import type { Sql } from 'postgres'

import { parseLsn } from '../../change/lsn.ts'
import { createLogProgress } from './log-progress.ts'

/** A slot that confirms, topics that grow, and consumers that follow. */
function world() {
  const now = { confirmed: '0/10' as string | null, ends: [5n, 0n], positions: [new Map<string, bigint>()] }
  const sql = (() => Promise.resolve(now.confirmed === null ? [] : [{ lsn: now.confirmed }])) as unknown as Sql
  const admin = {
    metadata: () => Promise.resolve({ topics: new Map([['t', { partitionsCount: now.ends.length }]]) }),
    listOffsets: () =>
      Promise.resolve([
        { name: 't', partitions: now.ends.map((offset, partitionIndex) => ({ partitionIndex, offset })) },
      ]),
  } as unknown as Admin
  const progress = createLogProgress(
    { admin, sql, positions: () => Promise.resolve(now.positions) },
    { slot: 's', topics: ['t'] },
  )
  return { now, progress }
}

test('an LSN counts as reached when all consumers have passed where the topics ended after it was confirmed', async () => {
  const { now, progress } = world()
  assert.equal(await progress.reached(), null)
  now.positions = [new Map([['t-0', 5n]]), new Map([['t-0', 4n]])]
  assert.equal(await progress.reached(), null, 'one of two is behind')
  // More is confirmed and written meanwhile: it is judged by the next look.
  now.confirmed = '0/20'
  now.ends = [9n, 0n]
  now.positions = [new Map([['t-0', 9n]]), new Map([['t-0', 5n]])]
  assert.equal(await progress.reached(), parseLsn('0/10'))
  assert.equal(await progress.reached(), parseLsn('0/10'))
  now.positions = [new Map([['t-0', 9n]]), new Map([['t-0', 9n]])]
  assert.equal(await progress.reached(), parseLsn('0/20'))
})

test('a partition in which something is, and of which a consumer has no position, is not passed', async () => {
  const { now, progress } = world()
  now.ends = [5n, 1n]
  now.positions = [new Map([['t-0', 5n]])]
  assert.equal(await progress.reached(), null)
  now.positions = [
    new Map([
      ['t-0', 5n],
      ['t-1', 1n],
    ]),
  ]
  assert.equal(await progress.reached(), parseLsn('0/10'))
})

test('without a slot nothing is known', async () => {
  const { now, progress } = world()
  now.confirmed = null
  assert.equal(await progress.reached(), null)
})
