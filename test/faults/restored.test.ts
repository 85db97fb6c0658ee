/**
 * The database is put back to an older state of itself. What Redis holds, and where the consumers stand, is then of a future that never
 * was: LSNs, transaction ids and numbers of events are given out once more, for other changes.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { copyFiles, copyRunning, writeServerFile } from '../support/copy-postgres.ts'
import { defer } from '../support/defer.ts'
import { ownPostgres } from '../support/postgres.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { makeTestDirectory, removeTestDirectory } from '../support/test-directory.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { anOrderIsConfirmed, change, assertEachEventOnce, slotIsContinued } from './orders-and-events.ts'

interface Restore {
  readonly name: string
  /** The slot is connected to anew after a copy of a stopped server, and not after one of a running server. */
  readonly isCopyOfStopped: boolean
  readonly isTimelineNew: boolean
  readonly isSystemStopped: boolean
  /** How often orders are changed between the copy and its return, and after it while nobody follows. */
  readonly lost: number
  readonly unseen: number
}

const RESTORES: readonly Restore[] = [
  {
    name: 'to a copy of the stopped server, while the system runs',
    isCopyOfStopped: true,
    isTimelineNew: false,
    isSystemStopped: false,
    lost: 20,
    unseen: 0,
  },
  {
    name: 'to a copy of the stopped server, and has written past where it was, while the system is stopped',
    isCopyOfStopped: true,
    isTimelineNew: false,
    isSystemStopped: true,
    lost: 2,
    unseen: 20,
  },
  {
    name: 'to a copy of the running server, while the system runs',
    isCopyOfStopped: false,
    isTimelineNew: false,
    isSystemStopped: false,
    lost: 20,
    unseen: 0,
  },
  {
    name: 'to a copy of the running server, while the system is stopped',
    isCopyOfStopped: false,
    isTimelineNew: false,
    isSystemStopped: true,
    lost: 20,
    unseen: 1,
  },
  {
    name: 'to a copy of the running server on a new timeline, while the system runs',
    isCopyOfStopped: false,
    isTimelineNew: true,
    isSystemStopped: false,
    lost: 20,
    unseen: 0,
  },
]

test('a PostgreSQL that is put back is found out: nothing of the lost future stays, every order has its events', async (t) => {
  const source = await ownPostgres(t, { settings: { restore_command: 'false' } })
  const { sql } = source
  const system = await testSystem(t, { source })
  const directory = makeTestDirectory('copy')
  defer(t, () => removeTestDirectory(directory))
  const copy = join(directory, 'postgres')

  for (const { name, isCopyOfStopped, isTimelineNew, isSystemStopped, lost, unseen } of RESTORES) {
    await t.test(name, async () => {
      await change(sql)
      await caughtUp(system)
      await slotIsContinued(sql)
      if (isCopyOfStopped) {
        await source.stop()
        await copyFiles(source.directory, copy)
        await source.start()
        await isBack(sql)
      } else await copyRunning(sql, source.directory, copy)
      for (let n = 0; n < lost; n++) await change(sql)
      const future = await position(sql)
      await assertEachEventOnce(system)
      const [ghost] = await sql<{ id: string }[]>`select id::text from orders order by created_at desc limit 1`
      assert.equal(await system.redis.exists(`order:status:${ghost?.id}`), 1)

      if (isSystemStopped) await system.stop()
      await source.kill()
      await copyFiles(copy, source.directory)
      if (isTimelineNew) writeServerFile(source.directory, 'recovery.signal')
      await source.start()
      await isBack(sql)
      for (let n = 0; n < unseen; n++) await change(sql)
      assert.equal((await position(sql)) > future, unseen > lost)
      if (isSystemStopped) await system.restart()

      await waitFor(async () => (await statusOf(system)).isReady, { what: 'the system to be ready' })
      // Past where it was: from here on nothing in the database tells the one past from the other.
      for (let n = 0; n < 2 * lost + 5; n++) await change(sql)
      await assertEachEventOnce(system)
      assert.equal(await system.redis.exists(`order:status:${ghost?.id}`), 0, 'an order that never was')
      await anOrderIsConfirmed(system)
      await caughtUp(system)
      await assertNothingStale(system)
    })
  }
})

/** To a new timeline it recovers as a standby first. */
async function isBack(sql: TestSystem['sql']): Promise<void> {
  await waitFor(() => sql`select where not pg_is_in_recovery()`, {
    what: 'the server to be back',
    until: (rows) => rows.length > 0,
  })
}

async function position(sql: TestSystem['sql']): Promise<bigint> {
  const [row] = await sql<{ lsn: string }[]>`select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text as lsn`
  return BigInt(row?.lsn ?? 0)
}
