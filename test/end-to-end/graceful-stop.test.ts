import assert from 'node:assert/strict'
import { test } from 'node:test'

import { connectPostgres } from '../../src/roles/connections.ts'
import { descendantsOf, upSite } from '../support/process.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'

test('SIGTERM and Ctrl-C drain, leave nothing running, and the next start carries on', async (t) => {
  const site = await upSite(t)
  for (const [round, [signal, toGroup]] of (
    [
      ['SIGTERM', false],
      ['SIGINT', true],
    ] as const
  ).entries()) {
    const process_ = site.up()
    await process_.ready()
    const started = await descendantsOf(process_.pid)
    assert.ok(started.length >= 2, 'PostgreSQL and Redis')
    const sql = await connectPostgres(site.urls.source, { applicationName: 'test' })
    const [before] = await sql<{ n: number }[]>`select count(*)::int as n from orders`
    assert.equal(before?.n, round * 500, 'what was written before is there')
    // A backlog, connections in use, and a request on its way.
    await sql`insert into orders (customer_id, status) select gen_random_uuid(), 'R' from generate_series(1, 500)`
    const requests = Array.from(
      { length: 20 },
      async () =>
        (await fetch(`${site.orderUrl}/api/customers/${crypto.randomUUID()}/orders`).catch(() => null))?.status,
    )
    const stopping = process_.end(signal, { toGroup })
    await Promise.all(requests)
    await sql.end({ timeout: 0 })
    const { exitCode, stderr } = await stopping
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' })
    const left = started.filter((pid) => isAlive(pid))
    assert.deepEqual(left, [])
  }
  const last = site.up()
  await last.ready()
  await caughtUp(site)
  const sql = await connectPostgres(site.urls.source, { applicationName: 'test' })
  const [events] = await sql<
    { n: number }[]
  >`select count(*)::int as n from trackops.domain_events where event_id like 'ORDER_CREATED%'`
  assert.equal(events?.n, 1000)
  await sql.end({ timeout: 0 })
  // A slot that was lost in its first seconds is warmed anew, beside the stream.
  await waitFor(async () => (await assertNothingStale(site)).checkedKeys >= 2000, { what: 'all orders to be warm' })
  assert.equal((await last.end('SIGTERM')).exitCode, 0)
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
