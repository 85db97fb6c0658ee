/** The primary becomes a replica of a server with other data, under the system's feet, and a primary again: its data went, its connections stayed. */
import { createClient } from '@redis/client'
import { type TestContext, test } from 'node:test'

import { defer } from '../support/defer.ts'
import { type TestRedis, testRedis } from '../support/redis.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { waitFor } from '../support/wait-for.ts'
import { change } from './orders-and-events.ts'
import { checkUnderLoad } from './redis-lost.ts'

test('a primary that is made a replica of another server, and a primary again, is found to have lost writes', async (t) => {
  const primary = await testRedis(t)
  const [leading, other] = [await clientOf(t, primary), await clientOf(t, await testRedis(t))]
  const system = await testSystem(t, { redis: primary })

  async function follow(who: Client, whom: TestRedis['port']): Promise<void> {
    await who.sendCommand(['REPLICAOF', '127.0.0.1', String(whom)])
    await waitFor(() => who.info('replication'), {
      what: 'the replica to follow',
      until: (info) => info.includes('master_link_status:up'),
    })
  }
  const otherPort = Number(new URL(other.options.url ?? '').port)
  /** The other one has what there is now; then come changes of which no later one will tell. */
  async function leaveBehind(sql: TestSystem['sql'], progress: () => Promise<void>): Promise<void> {
    await follow(other, primary.port)
    await other.sendCommand(['REPLICAOF', 'NO', 'ONE'])
    await change(sql)
    await progress()
  }
  await checkUnderLoad(t, system, {
    writerPauseMs: 10,
    faults: [
      {
        name: 'its data replaced by nothing',
        async run(_system, progress) {
          await follow(leading, otherPort)
          await progress()
          await leading.sendCommand(['REPLICAOF', 'NO', 'ONE'])
        },
      },
      {
        name: 'its data replaced by older ones',
        isFoundLate: true,
        async run({ sql }, progress) {
          await leaveBehind(sql, progress)
          await follow(leading, otherPort)
          await progress()
          await leading.sendCommand(['REPLICAOF', 'NO', 'ONE'])
        },
      },
      {
        name: 'its data replaced by older ones, and nobody waits until it serves again',
        isFoundLate: true,
        async run({ sql }, progress) {
          await leaveBehind(sql, progress)
          await follow(leading, otherPort)
          await leading.sendCommand(['REPLICAOF', 'NO', 'ONE'])
        },
      },
      {
        name: 'cut off from the one that it should follow, so that its data stay',
        async run(_system, progress) {
          await leading.sendCommand(['REPLICAOF', '127.0.0.1', '1'])
          await progress()
          await leading.sendCommand(['REPLICAOF', 'NO', 'ONE'])
        },
      },
    ],
  })
})

type Client = Awaited<ReturnType<typeof clientOf>>

async function clientOf(t: TestContext, server: TestRedis) {
  const client = createClient({ url: server.url, RESP: 2 })
  client.on('error', () => undefined)
  await client.connect()
  defer(t, async () => client.destroy())
  await client.configSet('repl-diskless-sync-delay', '0')
  return client
}
