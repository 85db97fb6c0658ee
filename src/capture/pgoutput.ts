import { formatLsn, type Lsn, LSN_ZERO, toLsn } from '../change/lsn.ts'
import type { ReplicaIdentity } from '../change/relation.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { POSTGRES_EPOCH_MICROS } from './frontend-messages.ts'
import type {
  LogicalDecodingMessage,
  OldTuple,
  PgoutputMessage,
  RelationColumn,
  RelationMessage,
  Tuple,
  UpdateMessage,
} from './pgoutput-messages.ts'

const NOTHING = Buffer.alloc(0)

const IDENTITIES: Readonly<Record<string, ReplicaIdentity>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }

/**
 * Decodes one message: all of `data`, no byte more or less.
 *
 * @throws TrackOpsError DECODE with message type, LSN, relation oid and byte offset, for anything unknown or cut short
 */
export const decodePgoutput = createDecoder()

/** One for all messages: functions made anew for each would be a quarter of all that a backlog allocates. */
function createDecoder(): (bytes: Buffer, messageLsn: Lsn) => PgoutputMessage {
  let data: Buffer = NOTHING
  let lsn: Lsn = LSN_ZERO
  let type = ''
  let at = 1
  let relationOid: number | null = null

  function fail(what: string): never {
    throw new TrackOpsError('DECODE', `pgoutput message ${JSON.stringify(type)} cannot be read: ${what}`, {
      details: { messageType: type, lsn: formatLsn(lsn), relationOid, byteOffset: at, messageBytes: data.length },
    })
  }
  function need(bytes: number): void {
    if (bytes < 0 || at + bytes > data.length) fail(`it ends too early, ${bytes} more bytes were expected`)
  }
  function byte(): number {
    need(1)
    return data[at++] ?? 0
  }
  function int16(): number {
    need(2)
    at += 2
    return data.readUInt16BE(at - 2)
  }
  function uint32(): number {
    need(4)
    at += 4
    return data.readUInt32BE(at - 4)
  }
  function int32(): number {
    need(4)
    at += 4
    return data.readInt32BE(at - 4)
  }
  function position(): Lsn {
    need(8)
    at += 8
    return toLsn(data.readBigUInt64BE(at - 8))
  }
  function time(): bigint {
    need(8)
    at += 8
    return data.readBigInt64BE(at - 8) + POSTGRES_EPOCH_MICROS
  }
  function name(): string {
    const end = data.indexOf(0, at)
    if (end === -1) return fail('a name does not end')
    const text = data.toString('utf8', at, end)
    at = end + 1
    return text
  }
  function oid(): number {
    relationOid = uint32()
    return relationOid
  }

  /** Where this many column values end; -1 unless each is NULL or a text of less than 128 bytes. */
  function endOfShort(count: number): number {
    let end = at
    for (let i = 0; i < count; i++) {
      const kind = data[end++]
      if (kind === 0x74) {
        if (end + 4 > data.length) return -1
        const length = data.readInt32BE(end)
        if (length < 0 || length > 127) return -1
        end += 4 + length
      } else if (kind !== 0x6e) return -1
    }
    return end <= data.length ? end : -1
  }

  function tuple(): Tuple {
    const count = int16()
    const texts: (string | null | undefined)[] = []
    // Most rows are short and ASCII. Then one text is made of all the bytes, in which each has its place, and the columns are parts
    // of it; with as many characters as bytes it is ASCII, lengths below 128 included.
    const end = endOfShort(count)
    const row = end === -1 ? '' : data.toString('utf8', at, end)
    if (row.length === end - at) {
      const from = at
      while (at < end) {
        if (data[at++] === 0x6e) texts.push(null)
        else {
          const length = data[at + 3] ?? 0
          at += 4 + length
          texts.push(row.slice(at - length - from, at - from))
        }
      }
      return texts
    }
    for (let i = 0; i < count; i++) {
      switch (byte()) {
        case 0x74: {
          // t
          const length = int32()
          need(length)
          texts.push(data.toString('utf8', at, at + length))
          at += length
          break
        }
        case 0x6e: // n
          texts.push(null)
          break
        case 0x75: // u
          texts.push(undefined)
          break
        case 0x62: // b
          return fail('a column came in binary form, which was not asked for')
        default:
          return fail('an unknown kind of column value')
      }
    }
    return texts
  }

  function expectNew(marker: number): void {
    if (marker !== 0x4e) fail('the new row was expected')
  }

  function oldTuple(marker: number): OldTuple {
    if (marker !== 0x4b && marker !== 0x4f) fail('the old row or its key was expected')
    return { kind: marker === 0x4f ? 'full' : 'identity', tuple: tuple() }
  }

  function relation(): RelationMessage {
    const relationId = oid()
    const schema = name() || 'pg_catalog'
    const table = name()
    const replicaIdentity = IDENTITIES[String.fromCharCode(byte())] ?? fail('an unknown replica identity')
    const columns: RelationColumn[] = []
    const count = int16()
    for (let i = 0; i < count; i++) {
      const isIdentity = (byte() & 1) === 1
      columns.push({ isIdentity, name: name(), typeOid: uint32(), typeModifier: int32() })
    }
    return { type: 'relation', oid: relationId, schema, table, replicaIdentity, columns }
  }

  function update(): UpdateMessage {
    const relationId = oid()
    let marker = byte()
    let old: OldTuple | null = null
    if (marker !== 0x4e) {
      old = oldTuple(marker)
      marker = byte()
    }
    expectNew(marker)
    return { type: 'update', relationOid: relationId, oldTuple: old, newTuple: tuple(), bytes: data.length }
  }

  function truncate(): PgoutputMessage {
    const count = int32()
    byte()
    need(count * 4)
    const relationOids: number[] = []
    for (let i = 0; i < count; i++) relationOids.push(oid())
    return { type: 'truncate', relationOids }
  }

  function logicalMessage(): LogicalDecodingMessage {
    const isTransactional = (byte() & 1) === 1
    const emitted = position()
    const prefix = name()
    const length = int32()
    need(length)
    const content = Buffer.from(data.subarray(at, at + length))
    at += length
    return { type: 'message', isTransactional, lsn: emitted, prefix, content }
  }

  function decode(): PgoutputMessage {
    switch (type) {
      case 'B':
        return { type: 'begin', commitLsn: position(), commitTimeMicros: time(), xid: uint32() }
      case 'C': {
        byte()
        const commit = { type: 'commit', commitLsn: position(), endLsn: position() } as const
        time()
        return commit
      }
      case 'O':
        return { type: 'origin', lsn: position(), name: name() }
      case 'R':
        return relation()
      case 'Y': {
        const typeOid = uint32()
        name()
        name()
        return { type: 'type', oid: typeOid }
      }
      case 'I': {
        const relationId = oid()
        expectNew(byte())
        return { type: 'insert', relationOid: relationId, newTuple: tuple(), bytes: data.length }
      }
      case 'U':
        return update()
      case 'D': {
        const relationId = oid()
        return { type: 'delete', relationOid: relationId, oldTuple: oldTuple(byte()), bytes: data.length }
      }
      case 'T':
        return truncate()
      case 'M':
        return logicalMessage()
      default:
        return fail('an unknown message type')
    }
  }

  return (bytes, messageLsn) => {
    data = bytes
    lsn = messageLsn
    type = bytes.length > 0 ? String.fromCharCode(bytes[0] ?? 0) : ''
    at = 1
    relationOid = null
    try {
      const message = decode()
      if (at !== data.length) fail('it is longer than its content')
      return message
    } finally {
      data = NOTHING
    }
  }
}
