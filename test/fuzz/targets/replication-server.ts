/** Something that listens where PostgreSQL should, and says anything. */
import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'

import { connectReplication } from '../../../src/capture/replication-connection.ts'
import { decodePgoutput } from '../../../src/capture/pgoutput.ts'
import { defer } from '../../support/defer.ts'
import { testPostgres } from '../../support/postgres.ts'
import type { TrackOpsError } from '../../../src/runtime/errors.ts'
import { type FuzzTarget, refusesOnly, refusesOnlyWith } from '../fuzz-target.ts'
import { mutatedBytes } from '../mutate.ts'
import { framed, recordMessages } from './pgoutput.ts'

const CODES: readonly TrackOpsError['code'][] = [
  'POSTGRES_UNREACHABLE',
  'POSTGRES_REFUSED',
  'POSTGRES_PROTOCOL',
  'SLOT_BUSY',
  'TIMEOUT',
]
const ALLOWED_BYTES = 8 * 1024 * 1024
/** A server that says nothing more keeps its connection only so long. */
const CONNECT_MS = 300
const SILENT_MS = 30
const LIMITS = { maxMessages: 50, maxBytes: 100_000 }

/**
 * The input is all that the server says, in chunks, whatever it is asked; then it closes the connection. Every call comes to an end,
 * with what was asked for or a named error, and memory follows what has arrived.
 */
export const replicationServer: FuzzTarget = {
  name: 'replication-server',
  async open(scope) {
    const { sql } = await testPostgres(scope)
    const messages = await recordMessages(sql)
    const seeds = [
      Buffer.concat([greeting(), answer(), startOfStream(), ...messages.map((data) => framed(data)), keepAlive()]),
      Buffer.concat([greeting(), answer(), startOfStream(), keepAlive(), frame('c', Buffer.alloc(0))]),
      Buffer.concat([greeting(), frame('E', report())]),
      frame('R', int32(5, 0x01020304)),
      Buffer.concat([frame('R', Buffer.concat([int32(10), Buffer.from('SCRAM-SHA-256\0\0')])), frame('R', sasl())]),
      Buffer.concat([greeting(), answer(), frame('D', int16(0xffff)), frame('Z', Buffer.from('I'))]),
    ]
    const speaker = await startSpeaker()
    defer(scope, () => speaker.close())
    return {
      hangMs: 3000,
      inputs: mutatedBytes(seeds),
      async check(input) {
        speaker.say(input)
        const before = process.memoryUsage().arrayBuffers
        await refusesOnlyWith(CODES, () => converse(speaker.url))
        const grown = process.memoryUsage().arrayBuffers - before
        assert.ok(grown < ALLOWED_BYTES, `${grown} bytes are held for ${input.length} that arrived`)
      },
    }
  },
}

async function converse(url: string): Promise<void> {
  const connection = await connectReplication({
    databaseUrl: url,
    applicationName: 'fuzz',
    isReplication: true,
    connectTimeoutMs: CONNECT_MS,
  })
  try {
    const rows = await connection.query('IDENTIFY_SYSTEM')
    for (const row of rows) for (const text of row) assert.ok(text === null || typeof text === 'string')
    const stream = await connection.startStream('START_REPLICATION', LIMITS)
    // It ends with an error: the speaker closes what it opened.
    for (;;) {
      for (const message of await stream.take()) {
        if (message.kind !== 'data') continue
        const { data, dataStart } = message
        refusesOnly(['DECODE'], () => decodePgoutput(data, dataStart))
      }
    }
  } finally {
    connection.close()
  }
}

interface Speaker {
  readonly url: string
  say(bytes: Buffer): void
  close(): void
}

async function startSpeaker(): Promise<Speaker> {
  let words: Buffer = Buffer.alloc(0)
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    // As much again with each thing that it is asked, so that answers come behind their questions.
    const parts = partsOf(words)
    let idle: NodeJS.Timeout | undefined
    socket.on('data', () => {
      const next = parts.shift()
      if (next) socket.write(next)
      clearTimeout(idle)
      if (parts.length === 0) socket.end()
      else idle = setTimeout(() => socket.end(), SILENT_MS)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `postgres://user:secret@127.0.0.1:${port}/d?sslmode=disable`,
    say(bytes) {
      words = bytes
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** Up to three: each ends with a ReadyForQuery, if there is one. */
function partsOf(words: Buffer): Buffer[] {
  const ready = frame('Z', Buffer.from('I'))
  const parts: Buffer[] = []
  let rest = words
  while (parts.length < 2) {
    const end = rest.indexOf(ready)
    if (end === -1) break
    parts.push(rest.subarray(0, end + ready.length))
    rest = rest.subarray(end + ready.length)
  }
  return [...parts, rest]
}

function frame(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

function int32(...numbers: number[]): Buffer {
  return Buffer.concat(
    numbers.map((number) => {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(number)
      return bytes
    }),
  )
}

function int16(number: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(number)
  return bytes
}

function greeting(): Buffer {
  return Buffer.concat([
    frame('R', int32(0)),
    frame('S', Buffer.from('server_version\x0018.4\0')),
    frame('K', int32(42, 43)),
    frame('Z', Buffer.from('I')),
  ])
}

function answer(): Buffer {
  const text = Buffer.from('7312345678901234567')
  const row = Buffer.concat([int16(2), int32(text.length), text, int32(-1)])
  return Buffer.concat([frame('D', row), frame('C', Buffer.from('SELECT 1\0')), frame('Z', Buffer.from('I'))])
}

function startOfStream(): Buffer {
  return frame('W', Buffer.from([0, 0, 0]))
}

function keepAlive(): Buffer {
  const body = Buffer.alloc(18)
  body.write('k')
  body[17] = 1
  return frame('d', body)
}

function report(): Buffer {
  return Buffer.from('SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0')
}

function sasl(): Buffer {
  return Buffer.concat([int32(11), Buffer.from('r=abc,s=AAAA,i=4096')])
}
