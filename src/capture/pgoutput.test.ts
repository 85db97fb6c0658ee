import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { LSN_ZERO, toLsn } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { decodePgoutput } from './pgoutput.ts'

const LSN = toLsn(0x16_b374_d848n)

function bytes(...parts: readonly (string | number[] | bigint | { int32: number } | { int16: number })[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(part)
      if (Array.isArray(part)) return Buffer.from(part)
      const buffer = Buffer.alloc(typeof part === 'bigint' ? 8 : 'int32' in part ? 4 : 2)
      if (typeof part === 'bigint') buffer.writeBigInt64BE(part)
      else if ('int32' in part) buffer.writeUInt32BE(part.int32)
      else buffer.writeUInt16BE(part.int16)
      return buffer
    }),
  )
}

const text = (value: string) => bytes('t', { int32: Buffer.byteLength(value) }, value)
const tuple = (...columns: Buffer[]) => Buffer.concat([bytes({ int16: columns.length }), ...columns])
const NULL = Buffer.from('n')
const UNCHANGED = Buffer.from('u')
const MAX_UINT32 = 4_294_967_295

const SAMPLES: Readonly<Record<string, Buffer>> = {
  begin: bytes('B', 0x16b374d848n, 1_000_000n, { int32: MAX_UINT32 }),
  commit: bytes('C', [0], 0x10n, 0x20n, 1_000_000n),
  origin: bytes('O', 0x30n, 'elsewhere\0'),
  relation: bytes(
    'R',
    { int32: MAX_UINT32 },
    'public\0orders\0',
    'f',
    { int16: 1 },
    [1],
    'id\0',
    { int32: 2950 },
    { int32: MAX_UINT32 },
  ),
  type: bytes('Y', { int32: 16_400 }, 'public\0mood\0'),
  insert: Buffer.concat([bytes('I', { int32: 7 }, 'N'), tuple(text('ü 😀'), NULL, text(''))]),
  update: Buffer.concat([bytes('U', { int32: 7 }, 'N'), tuple(text('1'), UNCHANGED)]),
  updateOfKey: Buffer.concat([
    bytes('U', { int32: 7 }, 'K'),
    tuple(text('0'), NULL),
    bytes('N'),
    tuple(text('1'), NULL),
  ]),
  updateOfFull: Buffer.concat([
    bytes('U', { int32: 7 }, 'O'),
    tuple(text('0'), text('a')),
    bytes('N'),
    tuple(text('1'), UNCHANGED),
  ]),
  delete: Buffer.concat([bytes('D', { int32: 7 }, 'K'), tuple(text('1'), NULL)]),
  truncate: bytes('T', { int32: 2 }, [1], { int32: 7 }, { int32: MAX_UINT32 }),
  message: bytes('M', [1], 0x40n, 'prefix\0', { int32: 3 }, [0, 1, 255]),
}

const EXPECTED: Readonly<Record<string, object>> = {
  begin: {
    type: 'begin',
    commitLsn: 0x16b374d848n,
    commitTimeMicros: BigInt(Date.UTC(2000, 0, 1, 0, 0, 1)) * 1000n,
    xid: MAX_UINT32,
  },
  commit: { type: 'commit', commitLsn: 0x10n, endLsn: 0x20n },
  origin: { type: 'origin', lsn: 0x30n, name: 'elsewhere' },
  relation: {
    type: 'relation',
    oid: MAX_UINT32,
    schema: 'public',
    table: 'orders',
    replicaIdentity: 'full',
    columns: [{ isIdentity: true, name: 'id', typeOid: 2950, typeModifier: -1 }],
  },
  type: { type: 'type', oid: 16_400 },
  insert: { type: 'insert', relationOid: 7, newTuple: ['ü 😀', null, ''] },
  update: { type: 'update', relationOid: 7, oldTuple: null, newTuple: ['1', undefined] },
  updateOfKey: {
    type: 'update',
    relationOid: 7,
    oldTuple: { kind: 'identity', tuple: ['0', null] },
    newTuple: ['1', null],
  },
  updateOfFull: {
    type: 'update',
    relationOid: 7,
    oldTuple: { kind: 'full', tuple: ['0', 'a'] },
    newTuple: ['1', undefined],
  },
  delete: { type: 'delete', relationOid: 7, oldTuple: { kind: 'identity', tuple: ['1', null] } },
  truncate: { type: 'truncate', relationOids: [7, MAX_UINT32] },
  message: { type: 'message', isTransactional: true, lsn: 0x40n, prefix: 'prefix', content: Buffer.from([0, 1, 255]) },
}

for (const [name, sample] of Object.entries(SAMPLES)) {
  test(`a message is decoded to what its bytes say: ${name}`, () => {
    const { bytes: size, ...message } = { bytes: undefined, ...decodePgoutput(sample, LSN) }
    assert.deepEqual(message, EXPECTED[name])
    if (size !== undefined) assert.equal(size, sample.length)
  })

  test(`a message cut short anywhere, or too long, is a DECODE error that says where: ${name}`, () => {
    for (let length = 0; length < sample.length; length++) {
      assert.throws(() => decodePgoutput(sample.subarray(0, length), LSN), isDecodeError)
    }
    assert.throws(() => decodePgoutput(Buffer.concat([sample, Buffer.alloc(1)]), LSN), isDecodeError)
  })
}

function isDecodeError(error: unknown): boolean {
  assert.ok(error instanceof TrackOpsError, String(error))
  assert.equal(error.code, 'DECODE')
  assert.equal(error.details['lsn'], '16/B374D848')
  assert.equal(typeof error.details['byteOffset'], 'number')
  return true
}

test('whatever bytes come, the decoder gives a message or a DECODE error, never another', () => {
  const begun = fc.tuple(fc.constantFrom(...'BCORYIUDTM'.split('')), fc.uint8Array({ maxLength: 60 }))
  fc.assert(
    fc.property(begun, ([type, rest]) => {
      try {
        decodePgoutput(Buffer.concat([Buffer.from(type), rest]), LSN_ZERO)
      } catch (error) {
        assert.ok(error instanceof TrackOpsError && error.code === 'DECODE', String(error))
      }
    }),
    { numRuns: 2000 },
  )
})

test('a column in binary form is refused, with the relation that it belongs to', () => {
  const sample = Buffer.concat([bytes('I', { int32: 99 }, 'N'), tuple(bytes('b', { int32: 1 }, 'x'))])
  assert.throws(
    () => decodePgoutput(sample, LSN),
    (error: TrackOpsError) => {
      assert.match(error.message, /binary/)
      assert.equal(error.details['relationOid'], 99)
      assert.equal(error.details['messageType'], 'I')
      return isDecodeError(error)
    },
  )
})

test('a row reads as it was written, short and ASCII or long and not, in all mixtures', () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.constant(undefined),
    fc.string({ maxLength: 20 }),
    fc.string({ unit: 'binary', maxLength: 5 }),
    fc.string({ minLength: 120, maxLength: 200 }),
  )
  fc.assert(
    fc.property(fc.array(value, { maxLength: 8 }), (values) => {
      const columns = values.map((one) => (one === null ? NULL : one === undefined ? UNCHANGED : text(one)))
      const message = decodePgoutput(Buffer.concat([bytes('I', { int32: 7 }, 'N'), tuple(...columns)]), LSN)
      assert.deepEqual(message.type === 'insert' && message.newTuple, values)
    }),
    { numRuns: 1000 },
  )
})
