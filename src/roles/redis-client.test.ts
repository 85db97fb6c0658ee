import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'

import { createLogger } from '../runtime/logger.ts'
import { connectRedis, createRedisClient } from './redis-client.ts'

test('a Redis that accepts connections and says nothing is given up on', async (t) => {
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  await once(silent, 'listening')
  const url = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`

  const client = createRedisClient(url, { name: 'test', log: createLogger('silent') })
  await assert.rejects(connectRedis(client, url, 50), {
    code: 'REDIS_UNREACHABLE',
    message: /did not answer within 50 ms/u,
  })
  assert.equal(client.isOpen, false)
})
