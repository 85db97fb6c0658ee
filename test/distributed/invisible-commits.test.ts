import assert from 'node:assert/strict'
import { test } from 'node:test'

import { untilCommitsWait } from '../support/commits-wait.ts'
import { distributedSystem, WHOLE_MS } from '../support/distributed.ts'
import { ownPostgres } from '../support/postgres.ts'
import { whyNoStack } from '../support/stack.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'

const skip = await whyNoStack()

test(
  'distributed: with a synchronous standby that does not exist, nothing is cached that readers of the database cannot see',
  { skip, timeout: WHOLE_MS },
  async (t) => {
    const source = await ownPostgres(t)
    const system = await distributedSystem(t, { source })
    const { sql, redis, orderUrl } = system
    const id = crypto.randomUUID()
    await sql`insert into orders (id) values (${id})`
    await caughtUp(system)
    const lag = async (): Promise<number | undefined> => {
      const status = (await (await fetch(`${system.consoleUrl}/api/status`)).json()) as {
        consumers: { name: string; consumerLagMessages: number | null }[]
      }
      return status.consumers.find(({ name }) => name === 'cache-warmer')?.consumerLagMessages ?? undefined
    }

    await sql`alter system set synchronous_standby_names = 'nobody'`
    await sql`select pg_reload_conf()`
    await untilCommitsWait(sql)
    const write = sql`update orders set status = 'SHIPPED' where id = ${id}`.execute()
    await waitFor(lag, { what: 'the change to be on its topic', until: (count) => count > 0 })

    const [row] = await sql<{ status: string }[]>`select status from orders where id = ${id}`
    assert.equal(row?.status, 'PENDING')
    for (let look = 0; look < 20; look++) {
      const cached = await redis.get(`order:status:${id}`)
      assert.ok(cached === null || cached.includes('PENDING'))
      const answer = (await (await fetch(`${orderUrl}/api/orders/${id}/status`)).json()) as { status: string }
      assert.equal(answer.status, 'PENDING')
    }

    await sql`alter system reset synchronous_standby_names`
    await sql`select pg_reload_conf()`
    await write
    await caughtUp(system)
    assert.ok((await redis.get(`order:status:${id}`))?.includes('SHIPPED'))
    await assertNothingStale(system)
  },
)
