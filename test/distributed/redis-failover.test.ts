import { createClient } from '@redis/client'
import { type TestContext, test } from 'node:test'

import { checkUnderLoad } from '../faults/redis-lost.ts'
import { distributedSystem, WHOLE_MS } from '../support/distributed.ts'
import { defer } from '../support/defer.ts'
import { testRedis, type TestRedis } from '../support/redis.ts'
import { whyNoStack } from '../support/stack.ts'
import { tcpProxy } from '../support/tcp-proxy.ts'
import { testSystem, type TestSystemOptions } from '../support/system.ts'
import { waitFor } from '../support/wait-for.ts'

const skip = await whyNoStack()

test(
  'distributed: a replica that is promoted without the last writes is found out, and nothing stays stale',
  { skip, timeout: WHOLE_MS },
  async (t) => {
    await checkFailover(t, (options) => distributedSystem(t, options))
  },
)

test('a replica that is promoted without the last writes is found out, and nothing stays stale', async (t) => {
  await checkFailover(t, (options) => testSystem(t, options))
})

async function checkFailover(
  t: TestContext,
  start: (options: Pick<TestSystemOptions, 'redis'>) => ReturnType<typeof testSystem>,
): Promise<void> {
  const primary = await testRedis(t)
  const replica = await testRedis(t)
  const follower = await clientOf(t, replica)
  await follower.sendCommand(['REPLICAOF', '127.0.0.1', String(primary.port)])
  await waitFor(() => follower.info('replication'), {
    what: 'the replica to follow',
    until: (info) => info.includes('master_link_status:up'),
  })
  const address = await tcpProxy(t, primary.port)
  const system = await start({ redis: { ...primary, url: `redis://127.0.0.1:${address.port}/0` } })
  await checkUnderLoad(t, system, {
    writerPauseMs: 10,
    faults: [
      {
        name: 'a replica that is not promoted yet, then promoted without the last writes',
        async run(_system, progress) {
          // It no longer hears of anything, and does not know that it is to lead.
          await follower.sendCommand(['CONFIG', 'SET', 'replica-read-only', 'yes'])
          await follower.sendCommand(['REPLICAOF', '127.0.0.1', '1'])
          await progress()
          address.to(replica.port)
          await primary.kill()
          await progress()
          await follower.sendCommand(['REPLICAOF', 'NO', 'ONE'])
        },
      },
    ],
  })
}

async function clientOf(t: TestContext, server: TestRedis) {
  const client = createClient({ url: server.url, RESP: 2 })
  client.on('error', () => undefined)
  await client.connect()
  defer(t, async () => client.destroy())
  return client
}
