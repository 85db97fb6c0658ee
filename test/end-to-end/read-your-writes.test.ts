import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compileViews } from '../../src/cache/compiled-view.ts'
import { createCacheReader } from '../../src/cache/create-cache-reader.ts'
import { writeFresh } from '../../src/cache/writes.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import { orderStatus, customerOrders, views } from '../../app/views.ts'
import { testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { readYourWrites } from './read-your-writes.ts'

test('10,000 writes, each read back at once with its token: no answer is old', async (t) => {
  const system = await testSystem(t)
  const { writes, old } = await readYourWrites(system, { writes: 10_000, concurrency: 16 })
  assert.ok(writes >= 10_000)
  assert.deepEqual(old, [])
  await caughtUp(system)
  await assertNothingStale(system)
})

test('one write at a time on an idle database is read back as well', async (t) => {
  const { old } = await readYourWrites(await testSystem(t), { writes: 200, concurrency: 1 })
  assert.deepEqual(old, [])
})

test('a reader in a process without consumers sees the write whose token it has', async (t) => {
  const { sql, redis } = await testSystem(t)
  const reader = createCacheReader(
    { redis, sql, log: SILENT },
    { views: compileViews(views, { keyPrefix: undefined }) },
  )
  t.after(() => reader.close())
  const [row] = await sql<{ id: string; customer: string }[]>`
    insert into orders (customer_id) values (gen_random_uuid()) returning id::text, customer_id::text as customer`
  assert.ok(row)
  for (let round = 0; round < 300; round++) {
    const { token } = await writeFresh(sql, async (tx) => {
      await tx`update orders set status = ${`S${round}`} where id = ${row.id}`
    })
    const status = await reader.get(orderStatus, { id: row.id }, { token })
    const list = await reader.list(customerOrders, { customer_id: row.customer }, { token })
    assert.equal(status.value?.['status'], `S${round}`)
    assert.equal(list.value[0]?.['status'], `S${round}`)
  }
})
