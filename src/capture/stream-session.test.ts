import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'

import type { StreamItem } from '../change/change-event.ts'
import { LSN_ZERO } from '../change/lsn.ts'
import { SILENT } from '../runtime/logger.ts'
import type { ReplicationConnection } from './replication-connection.ts'
import { createReplicationInbox } from './replication-stream.ts'
import { startStreamSession } from './stream-session.ts'

test('P3: a transaction behind a position that the server had said to be passed ends the stream, for consumers would skip it', async (t) => {
  const server = await streamFrom(t)
  server.transaction(100)
  server.keepAlive(200)
  assert.deepEqual(await server.kinds(), ['transaction', 'progress 200'])
  server.transaction(200)
  assert.deepEqual(await server.kinds(), ['transaction'], 'it commits where nothing was passed yet')
  server.keepAlive(300)
  assert.deepEqual(await server.kinds(), ['progress 300'])
  server.transaction(250)
  await assert.rejects(server.kinds(), { code: 'SLOT_LOST' })
})

test('a keep-alive that was not said yet holds nothing back', async (t) => {
  const server = await streamFrom(t)
  server.keepAlive(200)
  assert.deepEqual(await server.kinds(), ['progress 200'])
  // Within the quarter of a second in which no other progress is said.
  server.keepAlive(300)
  server.transaction(300)
  assert.deepEqual(await server.kinds(), ['transaction'])
})

/** A session whose server is this test. */
async function streamFrom(t: TestContext) {
  const inbox = createReplicationInbox(new Socket())
  const connection: ReplicationConnection = {
    serverVersion: 180_000,
    processId: 1,
    query: () => Promise.resolve([]),
    startStream(_sql, limits) {
      inbox.setLimits(limits)
      return Promise.resolve({ ...inbox.stream, sendStatus: () => undefined })
    },
    close: () => inbox.fail(new Error('closed')),
  }
  const session = await startStreamSession(
    {
      connection,
      catalog: { resolve: () => Promise.reject(new Error('no relation is sent')) },
      log: SILENT,
      ackedLsn: () => LSN_ZERO,
    },
    {
      slot: 's',
      publication: 'p',
      followed: new Map(),
      startLsn: LSN_ZERO,
      statusIntervalMs: 60_000,
      livenessTimeoutMs: 600_000,
      inbox: { maxMessages: 100, maxBytes: 1_000_000 },
      assembler: {},
    },
  )
  const batches = session.batches()
  t.after(() => session.close())
  const send = (body: Buffer): void => inbox.push(body, 0, body.length)
  const data = (bytes: Buffer): void => send(Buffer.concat([Buffer.from('w'), Buffer.alloc(24), bytes]))
  return {
    keepAlive: (walEnd: number) => send(Buffer.concat([Buffer.from('k'), int64(walEnd), Buffer.alloc(9)])),
    /** With one logical message in it. */
    transaction(commitLsn: number) {
      data(Buffer.concat([Buffer.from('B'), int64(commitLsn), int64(0), int32(7)]))
      data(
        Buffer.concat([
          Buffer.from('M\x01'),
          int64(commitLsn - 1),
          Buffer.from('prefix\0'),
          int32(1),
          Buffer.from('x'),
        ]),
      )
      data(Buffer.concat([Buffer.from('C\0'), int64(commitLsn), int64(commitLsn + 1), int64(0)]))
    },
    async kinds() {
      const { value } = await batches.next()
      return ((value ?? []) as readonly StreamItem[]).map((item) =>
        item.kind === 'progress' ? `progress ${item.lsn}` : item.kind,
      )
    },
  }
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
