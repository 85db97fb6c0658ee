import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testSystem } from '../../test/support/system.ts'
import { caughtUp } from '../../test/support/verdict.ts'
import { waitFor } from '../../test/support/wait-for.ts'

test('P1: a running system compares its keys with the database and exports what it finds', async (t) => {
  const system = await testSystem(t, { verifyRateKeysPerSecond: 2_000 })
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${system.consoleUrl}/metrics`)).text()
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1] ?? Number.NaN,
    )
  }
  const ids = Array.from({ length: 20 }, () => crypto.randomUUID())
  await system.sql`insert into orders ${system.sql(ids.map((id) => ({ id })))}`
  await caughtUp(system)
  await waitFor(async () => (await metric('cdc_verify_checked_total')) > 3_000, { what: 'some thousand looks' })
  assert.equal(await metric('cdc_verify_violations_total{kind="stale"}'), 0)
  assert.equal(await metric('cdc_verify_violations_total{kind="wrong"}'), 0)
  assert.equal(await metric('cdc_verify_violations_total{kind="missing"}'), 0)
  assert.equal(await metric('cdc_verify_oldest_difference_seconds'), 0)
  assert.ok((await metric('cdc_verify_nines')) > 2)

  const key = `order:status:${ids[0]}`
  const value = (await system.redis.get(key)) ?? ''
  await system.redis.set(key, value.replace('PENDING', 'SHIPPED'))
  // Only of what changes while it looks can it say that something is missing.
  await system.sql`update orders set status = 'PAID' where id = ${ids[1] ?? ''}`
  await caughtUp(system)
  await system.redis.del(`order:entity:${ids[1]}`)
  const found = async () => ({
    wrong: await metric('cdc_verify_violations_total{kind="wrong"}'),
    missing: await metric('cdc_verify_violations_total{kind="missing"}'),
  })
  await waitFor(found, { what: 'both to be found', until: ({ wrong, missing }) => wrong > 0 && missing > 0 })
  assert.equal(await metric('cdc_verify_violations_total{kind="stale"}'), 0)
  assert.ok((await metric('cdc_verify_oldest_difference_seconds')) > 0)
})
