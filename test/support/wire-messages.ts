/** What a client says to its server, cut into messages: what a test can point at. */

export interface Framed<M> {
  readonly message: M
  readonly bytes: Buffer
}

/** Of one connection: takes bytes as they come, gives the messages that they complete. */
export type Framing<M> = (chunk: Buffer) => readonly Framed<M>[]

/** A command with its arguments. */
export type RedisCommand = readonly string[]

export function redisCommands(): Framing<RedisCommand> {
  return cutter((bytes) => {
    const header = lineAt(bytes, 0)
    if (header === undefined) return undefined
    const command: string[] = []
    let at = header.end
    for (let count = Number(header.text.slice(1)); count > 0; count--) {
      const length = lineAt(bytes, at)
      if (length === undefined) return undefined
      const end = length.end + Number(length.text.slice(1))
      if (bytes.length < end + 2) return undefined
      command.push(bytes.toString('utf8', length.end, end))
      at = end + 2
    }
    return { message: command, length: at }
  })
}

/** What PostgreSQL answers as one: all up to a query, a Sync, a Flush, or one message of a copy. */
export interface PostgresRequest {
  /** What is executed, by its text, also where it was prepared before. */
  readonly statements: readonly string[]
  /** All statements since the last BEGIN, these among them. */
  readonly transaction: readonly string[]
  /** The flushed LSN of a standby status update. */
  readonly ackedLsn: bigint | null
}

/** Asked before the start, and answered with no. */
const SSL_REQUEST = 80_877_103
const ENDS_A_REQUEST = 'QSHXpdcf'

export function postgresRequests(): Framing<PostgresRequest> {
  const prepared = new Map<string, string>()
  let isStarted = false
  let transaction: readonly string[] = []

  function request(statements: readonly string[], ackedLsn: bigint | null): PostgresRequest {
    for (const text of statements) transaction = /^begin/i.test(text) ? [text] : [...transaction, text]
    return { statements, transaction, ackedLsn }
  }

  return cutter((bytes) => {
    if (!isStarted) {
      if (bytes.length < 8 || bytes.length < bytes.readInt32BE(0)) return undefined
      isStarted = bytes.readInt32BE(4) !== SSL_REQUEST
      return { message: request([], null), length: bytes.readInt32BE(0) }
    }
    const statements: string[] = []
    for (let at = 0; bytes.length >= at + 5;) {
      const type = String.fromCharCode(bytes[at] ?? 0)
      const end = at + 1 + bytes.readInt32BE(at + 1)
      if (bytes.length < end) return undefined
      const body = bytes.subarray(at + 5, end)
      const [first = '', second = ''] = body.toString('utf8').split('\0', 2)
      if (type === 'Q') statements.push(first)
      else if (type === 'P') prepared.set(first, second)
      else if (type === 'B') statements.push(prepared.get(second) ?? '')
      at = end
      if (!ENDS_A_REQUEST.includes(type)) continue
      // Written, flushed, applied: the second is what the slot moves to.
      const ackedLsn = type === 'd' && first.startsWith('r') ? body.readBigUInt64BE(9) : null
      return { message: request(statements.map(trimmed), ackedLsn), length: at }
    }
    return undefined
  })
}

export interface KafkaRequest {
  /** https://kafka.apache.org/protocol#protocol_api_keys */
  readonly apiKey: number
}

export function kafkaRequests(): Framing<KafkaRequest> {
  return cutter((bytes) => {
    if (bytes.length < 6 || bytes.length < 4 + bytes.readInt32BE(0)) return undefined
    return { message: { apiKey: bytes.readInt16BE(4) }, length: 4 + bytes.readInt32BE(0) }
  })
}

function trimmed(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}

function cutter<M>(first: (bytes: Buffer) => { readonly message: M; readonly length: number } | undefined): Framing<M> {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const found: Framed<M>[] = []
    for (let next = first(rest); next !== undefined; next = first(rest)) {
      found.push({ message: next.message, bytes: rest.subarray(0, next.length) })
      rest = rest.subarray(next.length)
    }
    return found
  }
}

function lineAt(bytes: Buffer, from: number): { readonly text: string; readonly end: number } | undefined {
  const end = bytes.indexOf('\r\n', from)
  return end < 0 ? undefined : { text: bytes.toString('latin1', from, end), end: end + 2 }
}
