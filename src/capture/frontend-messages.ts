/** What we send. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const PROTOCOL_3_0 = 196_608

export function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const text = `${Object.entries(parameters).flat().join('\0')}\0\0`
  const message = Buffer.alloc(8 + Buffer.byteLength(text))
  message.writeInt32BE(message.length, 0)
  message.writeInt32BE(PROTOCOL_3_0, 4)
  message.write(text, 8)
  return message
}

export function queryMessage(sql: string): Buffer {
  return framed('Q', Buffer.from(`${sql}\0`))
}

export function passwordMessage(password: string): Buffer {
  return framed('p', Buffer.from(`${password}\0`))
}

export function saslInitialMessage(mechanism: string, response: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(Buffer.byteLength(response))
  return framed('p', Buffer.concat([Buffer.from(`${mechanism}\0`), length, Buffer.from(response)]))
}

export function saslResponseMessage(response: string): Buffer {
  return framed('p', Buffer.from(response))
}

export function terminateMessage(): Buffer {
  return framed('X', Buffer.alloc(0))
}

/** Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's clock begins. */
export const POSTGRES_EPOCH_MICROS = BigInt(Date.UTC(2000, 0, 1)) * 1000n

/**
 * A standby status update in its CopyData frame. One LSN for written, flushed and applied: all that we ever tell is what
 * was acked. https://www.postgresql.org/docs/current/protocol-replication.html
 */
export function standbyStatusMessage(ackedLsn: bigint, nowMs: number, wantsReply: boolean): Buffer {
  const body = Buffer.alloc(34)
  body.write('r', 0, 'latin1')
  body.writeBigUInt64BE(ackedLsn, 1)
  body.writeBigUInt64BE(ackedLsn, 9)
  body.writeBigUInt64BE(ackedLsn, 17)
  body.writeBigInt64BE(BigInt(Math.trunc(nowMs)) * 1000n - POSTGRES_EPOCH_MICROS, 25)
  body[33] = wantsReply ? 1 : 0
  return framed('d', body)
}

function framed(type: string, body: Buffer): Buffer {
  const message = Buffer.allocUnsafe(5 + body.length)
  message.write(type, 0, 'latin1')
  message.writeInt32BE(4 + body.length, 1)
  body.copy(message, 5)
  return message
}
