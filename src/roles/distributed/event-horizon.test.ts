import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { TestScope } from '../../../test/support/defer.ts'
import { parseLsn } from '../../change/lsn.ts'
import { parseSnapshot } from '../../change/transaction-id.ts'
import { logDatabase } from '../../log/log-fixture.ts'
import { readLogPosition } from '../../log/positions.ts'
import { SILENT } from '../../runtime/logger.ts'
import { createEventHorizon } from './missed-events.ts'

async function world(t: TestScope) {
  const { sql } = await logDatabase(t)
  const now = { xmin: 100, insertLsn: '0/100', reached: null as string | null }
  const horizon = createEventHorizon({
    sql,
    log: SILENT,
    progress: { reached: () => Promise.resolve(now.reached === null ? null : parseLsn(now.reached)) },
    visibility: () =>
      Promise.resolve({
        look: () =>
          Promise.resolve({
            snapshot: parseSnapshot(`${now.xmin}:${now.xmin}:`),
            insertLsn: parseLsn(now.insertLsn),
          }),
      } as never),
  })
  return {
    now,
    after: async (reached: string | null): Promise<bigint | null> => {
      now.reached = reached
      await horizon.look()
      return (await readLogPosition(sql, 'order-event-consumer'))?.horizon ?? null
    },
  }
}

test('a horizon counts once the group has passed it, and another position after it', async (t) => {
  const { now, after } = await world(t)
  assert.equal(await after('0/90'), null)
  assert.equal(await after('0/110'), null, 'passed: a slot made anew begins there, too')
  assert.equal(await after('0/110'), null, 'and stays there until its snapshot is on the topics')
  assert.equal(await after('0/120'), 100n)
  Object.assign(now, { xmin: 200, insertLsn: '0/200' })
  assert.equal(await after('0/120'), 100n)
  assert.equal(await after('0/210'), 100n)
  assert.equal(await after('0/220'), 200n)
})

test('a group of which nothing is known has passed nothing', async (t) => {
  const { after } = await world(t)
  assert.equal(await after('0/110'), null)
  assert.equal(await after(null), null)
  assert.equal(await after('0/120'), null)
  assert.equal(await after('0/130'), 100n)
})
