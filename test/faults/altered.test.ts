/** The tables of views change their shape while orders are changed: whatever a migration does, the stream goes on, and nothing is stale. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testPostgres } from '../support/postgres.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { anOrderIsConfirmed, change, assertEachEventOnce } from './orders-and-events.ts'

type Sql = TestSystem['sql']

interface Alteration {
  readonly name: string
  readonly run: (sql: Sql, progress: () => Promise<void>) => Promise<void>
}

const ALTERATIONS: readonly Alteration[] = [
  {
    name: 'a column is added, filled and dropped',
    async run(sql, progress) {
      await sql`alter table orders add column note text not null default 'none'`
      await progress()
      await changeAll(sql, `note = 'some'`)
      await sql`alter table orders drop column note`
    },
  },
  {
    name: 'a column that no view uses is renamed',
    async run(sql, progress) {
      await sql`alter table orders rename column phone_number to telephone`
      await progress()
      await sql`alter table orders rename column telephone to phone_number`
    },
  },
  {
    name: 'a column of views is renamed and put back',
    async run(sql, progress) {
      await sql`alter table orders rename column city to town`
      await progress()
      await changeAll(sql, `town = 'Bern'`)
      await sql`alter table orders rename column town to city`
    },
  },
  {
    name: 'a column of views is dropped and made again',
    async run(sql, progress) {
      await changeAll(sql, `state = 'BE'`)
      await progress()
      await sql`alter table orders drop column state`
      await progress()
      await sql`alter table orders add column state text`
      // DDL is no change of rows: docs/guarantees.md.
      await changeAll(sql, 'version = version + 1')
    },
  },
  {
    name: 'a column of views gets another type',
    async run(sql, progress) {
      await sql`alter table orders alter column total_amount type numeric(14,3)`
      await progress()
      await changeAll(sql, 'version = version + 1')
    },
  },
  {
    name: 'the table is renamed and put back',
    async run(sql, progress) {
      await sql`alter table orders rename to orders_of_before`
      await sql`update orders_of_before set status = 'MEANWHILE' where status <> 'CANCELLED'`
      await sql`alter table orders_of_before rename to orders`
      await progress()
    },
  },
  {
    name: 'the table is renamed and put back within the transaction that changes it',
    async run(sql) {
      await sql.begin(async (tx) => {
        await tx`alter table orders rename to orders_of_before`
        await tx`update orders_of_before set status = 'WITHIN' where status <> 'CANCELLED'`
        await tx`alter table orders_of_before rename to orders`
      })
    },
  },
]

test('tables that are altered under load', async (t) => {
  const source = await testPostgres(t)
  const system = await testSystem(t, { source })
  const { sql } = system
  await change(sql)
  for (const { name, run } of ALTERATIONS) {
    await t.test(name, async () => {
      const stop = new AbortController()
      let changes = 0
      const changing = (async () => {
        // A statement that was planned before the table changed fails, or finds no such table.
        while (!stop.signal.aborted)
          await change(sql).then(
            () => changes++,
            () => undefined,
          )
      })()
      const progress = async (): Promise<void> => {
        const from = changes
        await waitFor(() => changes > from + 5, { what: 'orders to be changed' })
      }
      try {
        await progress()
        await run(sql, progress)
      } finally {
        stop.abort()
        await changing
      }
      await waitFor(async () => (await statusOf(system)).isReady, { what: 'the system to be ready' })
      await caughtUp(system)
      await assertEachEventOnce(system)
      await assertNothingStale(system)
      assert.equal((await statusOf(system)).deadLetters, 0)
      await anOrderIsConfirmed(system)
    })
  }
})

/** Row by row it would meet those who change some of them in another order, and one of the two would be ended. */
async function changeAll(sql: TestSystem['sql'], assignment: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`lock table orders in exclusive mode`
    await tx.unsafe(`update orders set ${assignment}`)
  })
}
