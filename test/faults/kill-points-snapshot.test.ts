import assert from 'node:assert/strict'
import { test } from 'node:test'

import config from '../../trackops.config.ts'
import { prepareDatabases } from '../../src/roles/prepare-databases.ts'
import { waitFor } from '../support/wait-for.ts'
import type { PostgresRequest } from '../support/wire-messages.ts'
import { killSite } from './kill-points.ts'

const ROOT = new URL('../../', import.meta.url).pathname
const ROWS = 1500

test('a process killed while it makes its first slot, and in its first snapshot: of the rows that it had cached and that are gone since, nothing stays', async (t) => {
  const site = await killSite(t)
  const { sql, gates } = site
  const loaded = { config, directory: ROOT, file: `${ROOT}trackops.config.ts` }
  await prepareDatabases(loaded, (name) => (name === 'source' ? sql : site.inventorySql))
  // Of what was delivered before there was a slot there are no events, also when it is deleted. Wide, so that it comes in pieces.
  await sql`insert into orders (customer_id, status, delivery_instructions)
    select gen_random_uuid(), 'DELIVERED', repeat('wide', 500) from generate_series(1, ${ROWS})`
  for (const place of ['before', 'behind'] as const) {
    const making = gates.source.stop(place, says('CREATE_REPLICATION_SLOT'))
    site.start()
    await making
    await waitFor(() => sql`select from pg_replication_slots where confirmed_flush_lsn is not null`, {
      what: `the slot ${place} it is made`,
      until: ({ count }) => count === (place === 'behind' ? 1 : 0),
    })
    await site.kill()
  }
  let fetches = 0
  const stopped = gates.source.stop('before', (request) => says('FETCH')(request) && ++fetches === 3)
  site.start()
  await stopped
  const cached = await waitFor(() => site.keysLike('order:status:*'), {
    what: 'rows to be cached',
    until: (keys) => keys.length > 0,
  })
  assert.ok(cached.length < ROWS)
  await site.kill()
  const ids = cached.map((key) => key.slice('order:status:'.length))
  const gone = ids.slice(0, ids.length >> 1)
  await sql`delete from orders where id = any (${gone}::uuid[])`
  await sql`update orders set city = 'Moved' where id = any (${ids.slice(gone.length)}::uuid[])`
  await site.start().ready()
  await site.changeOrders()
  await waitFor(() => site.keysLike('order:status:*'), {
    what: 'the rows that are left to be cached',
    until: (keys) => keys.length >= ROWS - gone.length,
  })
  assert.equal(await site.redis.exists(gone.map((id) => `order:status:${id}`)), 0)
  await site.assertNothingStale()
  // Rows that changed while there was no slot have events by then; the others never had any, and leave before the books are read.
  await sql`delete from orders where status = 'DELIVERED' and city is null`
  await site.assertAllIsRight()
})

function says(beginning: string): (request: PostgresRequest) => boolean {
  return ({ statements }) => statements.some((text) => text.startsWith(beginning))
}
