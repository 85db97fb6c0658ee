import { TrackOpsError } from '../runtime/errors.ts'

/**
 * Cuts PostgreSQL's byte stream into messages (a type byte, a length of four bytes, the body) in one pass: a message
 * that lies within one chunk is handed on where it lies, and only one that spans chunks is copied. Handlers must be done
 * with the bytes, or keep a view of them, when they return.
 */
export type MessageHandler = (type: number, bytes: Buffer, start: number, end: number) => void

const HEADER_BYTES = 5
/** PostgreSQL's own limit for one message (`PQ_LARGE_MESSAGE_LIMIT`, MaxAllocSize - 1): more means that we lost the frame. */
const MAX_BODY_BYTES = 0x3fff_ffff
/** Of a message that spans chunks, so much is reserved at once; a longer one has to come before it is believed. */
const FIRST_BYTES = 256 * 1024

export interface MessageFramer {
  /** @throws TrackOpsError POSTGRES_PROTOCOL for a length that no message can have */
  push(chunk: Buffer): void
}

export function createMessageFramer(handle: MessageHandler): MessageFramer {
  const header = Buffer.alloc(HEADER_BYTES)
  let headerFilled = 0
  let body: Buffer | null = null
  let bodyFilled = 0

  /** Room for what may come next: at most twice what has come, so that a length alone reserves nothing. */
  function roomFor(length: number): Buffer {
    if (body && bodyFilled < body.length) return body
    const grown = Buffer.allocUnsafe(Math.min(length, Math.max(FIRST_BYTES, 2 * bodyFilled)))
    body?.copy(grown, 0, 0, bodyFilled)
    body = grown
    return grown
  }

  /** Completes the message that the last chunk began; gives the place in this chunk where the next one starts. */
  function continuePartial(chunk: Buffer, from: number): number {
    let at = from
    if (headerFilled < HEADER_BYTES) {
      const copied = chunk.copy(header, headerFilled, at, at + HEADER_BYTES - headerFilled)
      headerFilled += copied
      at += copied
      if (headerFilled < HEADER_BYTES) return at
    }
    const length = bodyLength(header, 0)
    let whole = roomFor(length)
    while (bodyFilled < length && at < chunk.length) {
      whole = roomFor(length)
      const copied = chunk.copy(whole, bodyFilled, at, at + whole.length - bodyFilled)
      bodyFilled += copied
      at += copied
    }
    if (bodyFilled === length) {
      const type = header[0] ?? 0
      headerFilled = 0
      bodyFilled = 0
      body = null
      handle(type, whole, 0, whole.length)
    }
    return at
  }

  return {
    push(chunk) {
      let at = 0
      if (headerFilled > 0) at = continuePartial(chunk, at)
      while (chunk.length - at >= HEADER_BYTES) {
        const start = at + HEADER_BYTES
        const end = start + bodyLength(chunk, at)
        if (end > chunk.length) break
        at = end
        handle(chunk[start - HEADER_BYTES] ?? 0, chunk, start, end)
      }
      if (at < chunk.length) continuePartial(chunk, at)
    },
  }
}

function bodyLength(bytes: Buffer, headerStart: number): number {
  const length = bytes.readInt32BE(headerStart + 1) - 4
  if (length < 0 || length > MAX_BODY_BYTES) {
    throw new TrackOpsError('POSTGRES_PROTOCOL', `PostgreSQL sent a message of ${length} bytes, which cannot be`, {
      details: { messageType: String.fromCharCode(bytes[headerStart] ?? 0), length },
    })
  }
  return length
}
