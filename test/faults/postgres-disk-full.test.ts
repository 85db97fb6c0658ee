import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { POSTGRES_PID_FILE } from '../../src/roles/embedded/postgres-cluster.ts'
import { isAlive } from '../../src/roles/embedded/server-process.ts'
import { defer } from '../support/defer.ts'
import { type OwnPostgres, ownPostgres } from '../support/postgres.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { fillDisk, mountSmallDisk } from './small-disk.ts'
import { anOrderIsConfirmed, assertEachEventOnce, change, slotIsContinued } from './orders-and-events.ts'

interface Stage {
  readonly system: TestSystem
  readonly source: OwnPostgres
}

interface Fault {
  readonly name: string
  readonly run: (stage: Stage) => Promise<void>
}

const FAULTS: readonly Fault[] = [
  {
    name: 'its disk full so that writes are refused, and no longer',
    async run(stage) {
      const free = fillDisk(stage.source.directory)
      await untilRefused(stage)
      free()
    },
  },
  {
    name: 'its disk full so that it goes down, and started again with room',
    async run(stage) {
      const { source } = stage
      const { sql, directory } = source
      const pid = Number.parseInt(readFileSync(join(directory, POSTGRES_PID_FILE), 'utf8'), 10)
      const free = fillDisk(directory)
      await untilRefused(stage)
      await waitFor(
        async () => {
          if (!isAlive(pid)) return true
          await changeAsFarAsThereIsRoom(sql)
          // The next segment of the WAL takes more than there is.
          await sql`select pg_switch_wal()`
          return false
        },
        { what: 'the server to go down' },
      )
      await source.kill()
      free()
      await source.start()
    },
  },
]

const DISK_FULL = '53100'

for (const { name, run } of FAULTS) {
  test(`PostgreSQL, ${name}: all goes on by itself, nothing is stale, each event is published once`, async (t) => {
    const stage = await setStage(t)
    if (typeof stage === 'string') {
      t.skip(stage)
      return
    }
    const { system, source } = stage
    const { sql } = source
    await run(stage)
    await change(sql)
    await assertEachEventOnce(system)
    await anOrderIsConfirmed(system)
    await caughtUp(system)
    assert.equal((await statusOf(system)).stream.reason, null)
    await assertNothingStale(system)
    assert.equal((await statusOf(system)).deadLetters, 0)
  })
}

/** Gives why it is not possible here, where it is not. */
async function setStage(t: TestContext): Promise<Stage | string> {
  let disk: ReturnType<typeof mountSmallDisk> | undefined
  const source = await ownPostgres(t, {
    settings: { min_wal_size: '32MB', max_wal_size: '32MB' },
    async prepare(directory) {
      // All of it: initdb's own directory is replaced by another.
      disk = mountSmallDisk(dirname(directory), '128m')
    },
  })
  if (disk === undefined || 'refused' in disk) return disk?.refused ?? 'not mounted'
  const { unmount } = disk
  defer(t, async () => {
    await source.kill()
    // Backends that have lost their server leave a moment later.
    await waitFor(
      () => {
        unmount()
        return true
      },
      { what: 'nobody to be on the disk' },
    )
  })
  const system = await testSystem(t, { source })
  const { sql } = source
  await change(sql)
  // Room in the table of orders that no other has.
  await sql`insert into orders (customer_id) select gen_random_uuid() from generate_series(1, 500)`
  await sql`delete from orders where total_amount = 0`
  await sql`vacuum (truncate false) orders`
  await caughtUp(system)
  await slotIsContinued(sql)
  return { system, source }
}

/** Changes are committed that cannot be announced; whoever reads goes on. */
async function untilRefused({ system, source: { sql } }: Stage): Promise<void> {
  const [order] = await sql<{ id: string }[]>`select id::text from orders limit 1`
  await waitFor(
    async () => {
      await changeAsFarAsThereIsRoom(sql)
      const response = await fetch(`${system.orderUrl}/api/orders/${order?.id}`)
      assert.equal(response.status, 200)
      await response.arrayBuffer()
      return (await statusOf(system)).consumers.some(({ reason }) => reason?.includes(DISK_FULL))
    },
    { what: 'the events to be refused' },
  )
}

/** Orders find room in their own table. */
async function changeAsFarAsThereIsRoom(sql: OwnPostgres['sql']): Promise<void> {
  try {
    await sql`insert into orders (customer_id) values (gen_random_uuid())`
    await sql`update orders set status = 'CANCELLED' where id = (select id from orders where status = 'PENDING' limit 1)`
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === DISK_FULL)) throw error
  }
}
