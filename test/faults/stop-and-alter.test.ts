import { test } from 'node:test'

import { ownPostgres } from '../support/postgres.ts'
import { testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'

test('PostgreSQL stopped and started: all goes on', async (t) => {
  const source = await ownPostgres(t)
  const system = await testSystem(t, { source })
  await source.sql`insert into orders (customer_id, total_amount) select gen_random_uuid(), 1 from generate_series(1, 50)`
  await source.stop()
  await source.start()
  await waitFor(() => source.sql`select 1`, { what: 'the server to be back' })
  await source.sql`insert into orders (customer_id, total_amount) select gen_random_uuid(), 2 from generate_series(1, 50)`
  await caughtUp(system)
  await assertNothingStale(system)
})

test('TRUNCATE and ALTER TABLE while a snapshot is read end, and so does the snapshot', async (t) => {
  const system = await testSystem(t)
  const { sql } = system
  for (let round = 0; round < 3; round++) {
    await sql`insert into orders (customer_id, total_amount) select gen_random_uuid(), n from generate_series(1, 10000) n`
    await system.stop()
    // Its walsender leaves the slot a moment after the connection has ended.
    await waitFor(
      () =>
        sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()`,
      { what: 'the slot to be free', until: (rows) => rows.length > 0 },
    )
    const restarting = system.restart()
    await waitFor(
      () =>
        sql`select from pg_stat_activity where application_name like 'trackops snapshot%' and datname = current_database()`,
      { what: 'the snapshot to begin', until: (rows) => rows.length > 0, intervalMs: 5 },
    )
    if (round === 1) await sql`alter table orders add column if not exists note text`
    else await sql`truncate orders, order_items`
    await restarting
    await caughtUp(system)
  }
  await sql`insert into orders (customer_id, total_amount) select gen_random_uuid(), n from generate_series(1, 100) n`
  await caughtUp(system)
  await assertNothingStale(system)
})
