import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { createMessageFramer } from './message-framer.ts'

interface Message {
  readonly type: number
  readonly body: string
}

function encode({ type, body }: Message): Buffer {
  const bytes = Buffer.from(body, 'latin1')
  const header = Buffer.alloc(5)
  header[0] = type
  header.writeInt32BE(bytes.length + 4, 1)
  return Buffer.concat([header, bytes])
}

function frame(chunks: readonly Buffer[]): Message[] {
  const seen: Message[] = []
  const framer = createMessageFramer((type, bytes, start, end) =>
    seen.push({ type, body: bytes.toString('latin1', start, end) }),
  )
  for (const chunk of chunks) framer.push(chunk)
  return seen
}

const message = fc
  .tuple(fc.integer({ min: 1, max: 255 }), fc.string({ maxLength: 40 }).map(latin1))
  .map(([type, body]): Message => ({ type, body }))

function latin1(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

test('messages come out whole, however the stream was cut: merged, split, byte by byte', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 30 })), (messages, sizes) => {
      const bytes = Buffer.concat(messages.map(encode))
      const chunks: Buffer[] = []
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % Math.max(1, sizes.length)] ?? bytes.length
        chunks.push(bytes.subarray(at, at + size))
        at += size
      }
      assert.deepEqual(frame(chunks), messages)
      assert.deepEqual(frame([bytes]), messages)
      assert.deepEqual(frame(Array.from(bytes, (byte) => Buffer.from([byte]))), messages)
    }),
  )
})

test('a message much larger than a chunk is put together once', () => {
  const body = 'x'.repeat(1_000_000)
  const bytes = Buffer.concat([encode({ type: 100, body }), encode({ type: 99, body: 'y' })])
  const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, i) =>
    bytes.subarray(i * 65_536, (i + 1) * 65_536),
  )
  assert.deepEqual(frame(chunks), [
    { type: 100, body },
    { type: 99, body: 'y' },
  ])
})

test('a length that no message can have is an error with the type and the length', () => {
  for (const length of [0, 3, -1, 0x7fff_ffff]) {
    const bytes = Buffer.from([100, 0, 0, 0, 0, 1, 2])
    bytes.writeInt32BE(length, 1)
    assert.throws(() => frame([bytes]), {
      code: 'POSTGRES_PROTOCOL',
      details: { messageType: 'd', length: length - 4 },
    })
    assert.throws(() => frame(Array.from(bytes, (byte) => Buffer.from([byte]))), { code: 'POSTGRES_PROTOCOL' })
  }
})
