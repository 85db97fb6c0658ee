/** Redis dies, comes back with less than it had, refuses, or hangs: afterwards nothing is stale, and nobody did anything. */
import assert from 'node:assert/strict'
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import type { TestSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, type JudgedSystem, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { type LoadOptions, readAndWrite, type Watch } from './readers-and-writers.ts'

type System = TestSystem & JudgedSystem

interface Fault {
  readonly name: string
  /** Redis answers with what is older, and no connection breaks: until it is found out, answers may go back. */
  readonly isFoundLate?: boolean
  /** `progress` resolves when readers and writers have got somewhere. */
  readonly run: (system: System, progress: (reads?: number) => Promise<void>) => Promise<void>
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'killed and started again with its file',
    async run({ redisServer }, progress) {
      await redisServer.kill()
      await progress()
      await redisServer.start()
    },
  },
  {
    name: 'killed and started again empty',
    async run({ redisServer }, progress) {
      await redisServer.kill()
      await progress()
      emptyDirectory(redisServer.dataDirectory)
      await redisServer.start()
    },
  },
  {
    name: 'killed and restored from an older copy',
    async run({ redisServer }, progress) {
      const copy = `${redisServer.dataDirectory}-copy`
      await redisServer.stop()
      cpSync(redisServer.dataDirectory, copy, { recursive: true })
      await redisServer.start()
      await progress()
      await redisServer.kill()
      await progress()
      emptyDirectory(redisServer.dataDirectory)
      cpSync(copy, redisServer.dataDirectory, { recursive: true })
      rmSync(copy, { recursive: true })
      await redisServer.start()
    },
  },
  {
    name: 'emptied while it runs',
    async run({ redis }) {
      await redis.flushAll()
    },
  },
  {
    name: 'full, and no longer',
    async run({ redis }, progress) {
      await redis.configSet('maxmemory', '1')
      await progress()
      await redis.configSet('maxmemory', '0')
    },
  },
  {
    name: 'silent, with its connections open',
    async run({ redis }, progress) {
      const pid = Number(/^process_id:(\d+)/m.exec(await redis.info('server'))?.[1])
      process.kill(pid, 'SIGSTOP')
      try {
        // Each of them waits a second for Redis before it is answered by the database.
        await progress(10)
      } finally {
        process.kill(pid, 'SIGCONT')
      }
    },
  },
]

export async function checkUnderLoad(
  t: TestContext,
  system: System,
  { faults = FAULTS, ...load }: LoadOptions & { readonly faults?: readonly Fault[] } = {},
): Promise<void> {
  for (const fault of faults) {
    await t.test(`${fault.name}, under load`, async () => {
      const watch = await readAndWrite(system, load)
      let untilFound = 0
      try {
        await someWork(watch)
        await fault.run(system, (reads) => someWork(watch, reads))
        await waitFor(async () => (await statusOf(system)).isReady, { what: 'the system to be ready' })
        if (fault.isFoundLate) {
          await someWork(watch)
          untilFound = watch.wentBack.length
        }
        await someWork(watch)
      } finally {
        await watch.stop()
      }
      assert.deepEqual(watch.failed.slice(0, 5), [])
      assert.deepEqual(watch.wentBack.slice(untilFound, untilFound + 5), [])
      await caughtUp(system)
      await assertNothingStale(system)
    })
  }
}

/** Nothing is written, so no change shows the consumers what is lost: they have to look. */
export async function checkIdle(t: TestContext, system: System): Promise<void> {
  for (const fault of FAULTS.slice(1, 4)) {
    await t.test(`${fault.name}, while nothing is written`, async () => {
      const { sql, redis } = system
      const id = crypto.randomUUID()
      await sql`insert into orders (id, status) values (${id}, 'BEFORE')`
      await caughtUp(system)
      await fault.run(system, async () => {
        await sql`update orders set status = 'AFTER' where id = ${id}`
        await sql`insert into orders (status) values ('LATER')`
      })
      await waitFor(
        async () => {
          const status = await statusOf(system)
          return status.isReady && status.cache.isTrusted
        },
        { what: 'readers to use Redis again' },
      )
      await caughtUp(system)
      const cached = await redis.get(`order:status:${id}`)
      const [row] = await sql<{ status: string }[]>`select status from orders where id = ${id}`
      if (cached !== null) assert.equal((JSON.parse(cached) as { status: string }).status, row?.status)
      await sql`insert into orders (status) values ('LAST')`
      await caughtUp(system)
      await assertNothingStale(system)
    })
  }
}

async function someWork(watch: Watch, count = 100): Promise<void> {
  const [reads, writes] = [watch.reads(), watch.writes()]
  await waitFor(() => watch.reads() > reads + count && watch.writes() > writes + count, {
    what: `${count} reads and writes`,
  })
}

/** The pid file of the support stays: it names the process that runs. */
function emptyDirectory(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true })
}
