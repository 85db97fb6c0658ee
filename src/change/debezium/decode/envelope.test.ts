import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { TrackOpsError } from '../../../runtime/errors.ts'
import { rawOf, rowOf } from '../fixtures/raw.ts'
import { recordedCase, type Recorded } from '../fixtures/recorded.ts'
import { parseEnvelope } from './envelope.ts'

function recorded(name: string, index: number): Recorded {
  return recordedCase(name)[index] ?? assert.fail(`no record ${index} of ${name}`)
}

const value = (document: unknown) => {
  return rawOf({ key: null, value: typeof document === 'string' ? document : JSON.stringify(document), headers: {} })
}

const SOURCE = { connector: 'postgresql', schema: 'public', table: 't', ts_us: 1, txId: 7, lsn: 9, snapshot: 'false' }

test('a recorded row says what it is, where it stands and which columns it has', () => {
  const { text, ...envelope } = rowOf(recorded('ri-full', 1))
  assert.equal(text, recorded('ri-full', 1).value)
  const { source } = JSON.parse(text) as { source: { lsn: number; ts_us: number; txId: number; sequence: string } }
  const [previous] = JSON.parse(source.sequence) as [string]
  assert.deepEqual(envelope, {
    kind: 'row',
    op: 'u',
    schema: 'public',
    table: 'orders',
    fields: ['id', 'customer', 'qty', 'note'],
    before: { id: 1, customer: 'a', qty: 1, note: 'n' },
    after: { id: 1, customer: 'a', qty: 2, note: 'n' },
    xid: source.txId,
    lsn: BigInt(source.lsn),
    commitTimeMicros: BigInt(source.ts_us),
    snapshot: 'false',
    previousCommitEndLsn: BigInt(previous),
    origin: null,
    totalOrder: null,
    keyChange: null,
    rowSchema: null,
  })
})

test('both halves of a changed key are known by their headers', () => {
  const kinds = recordedCase('key-pk-change-full').map((record) => {
    const envelope = parseEnvelope(rawOf(record))
    return envelope.kind === 'row' ? `${envelope.op} ${envelope.keyChange}` : envelope.kind
  })
  assert.deepEqual(kinds, ['c null', 'd leaves', 'tombstone', 'c arrives'])
})

test('a truncate has no fields', () => {
  const envelope = rowOf(recorded('truncate-included', 1))
  assert.deepEqual([envelope.op, envelope.fields, envelope.before, envelope.after], ['t', [], null, null])
})

test('the origin of a replicated transaction', () => {
  const { origin } = rowOf(recorded('origin-set', 1))
  assert.equal(typeof origin?.name, 'string')
  assert.equal(typeof origin?.lsn, 'bigint')
})

test('a row of an incremental snapshot has no xid, and the position of the stream', () => {
  const rows = recordedCase('signal-incremental-snapshot').flatMap((record) => {
    const envelope = parseEnvelope(rawOf(record))
    return envelope.kind === 'row' && envelope.table === 'a' ? [{ envelope, record }] : []
  })
  assert.equal(rows.length, 2)
  for (const { envelope, record } of rows) {
    const { source } = JSON.parse(record.value ?? '') as { source: { sequence: string } }
    const [, position] = JSON.parse(source.sequence) as [string | null, string | null]
    assert.deepEqual([envelope.op, envelope.snapshot, envelope.xid], ['r', 'incremental', 0])
    assert.equal(envelope.lsn, BigInt(position ?? 0))
  }
})

test('records that are not rows are told apart and never refused', () => {
  const kinds = (name: string) => new Set(recordedCase(name).map((record) => parseEnvelope(rawOf(record)).kind))
  assert.deepEqual(kinds('heartbeat-topic'), new Set(['heartbeat']))
  assert.deepEqual(kinds('msg-transactional'), new Set(['message', 'transaction-metadata', 'row']))
  assert.deepEqual(parseEnvelope(rawOf(recorded('msg-nontransactional', 0))), {
    kind: 'message',
    prefix: 'foo',
    content: 'YmFy',
    xid: 0,
    lsn: rowless(recorded('msg-nontransactional', 0)),
  })
  const schemaChange = { source: SOURCE, ts_ms: 1, databaseName: 'd', schemaName: 's', ddl: null, tableChanges: [] }
  assert.deepEqual(parseEnvelope(value(schemaChange)), { kind: 'schema-change' })
  const nothing = { key: null, value: null, headers: new Map<string, string>() }
  assert.deepEqual(parseEnvelope(nothing), { kind: 'tombstone' })
})

function rowless(record: Recorded): bigint {
  const { source } = JSON.parse(record.value ?? '') as { source: { lsn: number } }
  return BigInt(source.lsn)
}

test('with schemas everything is the same, one level down', () => {
  const wrap = (payload: unknown) => ({ schema: { type: 'struct', fields: [] }, payload })
  assert.deepEqual(parseEnvelope(value({ schema: null, payload: null })), { kind: 'tombstone' })
  assert.deepEqual(parseEnvelope(value('null')), { kind: 'tombstone' })
  assert.deepEqual(parseEnvelope(value(wrap({ ts_ms: 1 }))), { kind: 'heartbeat' })
  const metadata = { status: 'END', id: '1:2', event_count: 0, data_collections: [], ts_ms: 1 }
  assert.deepEqual(parseEnvelope(value(wrap(metadata))), { kind: 'transaction-metadata' })
  const envelope = parseEnvelope(value(wrap({ op: 'c', source: SOURCE, before: null, after: { id: 1 } })))
  assert.ok(envelope.kind === 'row')
  assert.deepEqual([envelope.table, envelope.after, envelope.xid], ['t', { id: 1 }, 7])
})

test('positions and times above 2^53 keep all of their digits', () => {
  const text =
    '{"op":"t","source":{"connector":"postgresql","schema":"s","table":"t","ts_us":9007199254740993,' +
    '"txId":4294967295,"lsn":9223372036854775807,"sequence":"[\\"9223372036854775806\\",null]"}}'
  for (const given of [text, `{"schema":{},"payload":${text}}`]) {
    const envelope = parseEnvelope(value(given))
    assert.ok(envelope.kind === 'row')
    assert.equal(envelope.lsn, 9_223_372_036_854_775_807n)
    assert.equal(envelope.commitTimeMicros, 9_007_199_254_740_993n)
    assert.equal(envelope.previousCommitEndLsn, 9_223_372_036_854_775_806n)
    assert.equal(envelope.xid, 4_294_967_295)
  }
})

test('old releases have milliseconds only, and null is the default of source.snapshot', () => {
  const { ts_us: _, ...older } = { ...SOURCE, ts_ms: 5, snapshot: null }
  const envelope = parseEnvelope(value({ op: 'd', source: older, before: { id: 1 }, after: null }))
  assert.ok(envelope.kind === 'row')
  assert.deepEqual([envelope.commitTimeMicros, envelope.snapshot], [5000n, 'false'])
})

test('what no connector for PostgreSQL writes is refused with its reason', () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ['{"secret', /not JSON/],
    ['', /not JSON/],
    ['"secret"', /no object/],
    ['[]', /no object/],
    [{ id: 1, secret: 'x' }, /ExtractNewRecordState/],
    [{ ts_ms: 1, secret: 'x' }, /ExtractNewRecordState/],
    [{ op: 'u', after: { id: 1 } }, /no source/],
    [{ op: 'x', source: SOURCE }, /op is none of/],
    [{ op: 'u', source: SOURCE, before: null, after: null }, /no row in after/],
    [{ op: 'u', source: SOURCE, after: 'secret' }, /after is no object/],
    [{ op: 'c', source: { ...SOURCE, connector: 'mysql' }, after: {} }, /another database/],
    [{ op: 'c', source: { ...SOURCE, table: null }, after: {} }, /no schema and table/],
    [{ op: 'c', source: { ...SOURCE, ts_us: null }, after: {} }, /no time/],
    [{ op: 'c', source: { ...SOURCE, lsn: 'secret' }, after: {} }, /source\.lsn is no position/],
    [{ op: 'c', source: { ...SOURCE, snapshot: 'secret' }, after: {} }, /snapshot is unknown/],
    [{ schema: {}, payload: 'secret' }, /payload is no object/],
    [{ op: 'm', source: SOURCE, message: {} }, /no prefix/],
  ]
  for (const [document, reason] of cases) {
    assert.throws(
      () => parseEnvelope(value(document)),
      (error) => {
        assert.ok(error instanceof TrackOpsError && error.code === 'DECODE')
        assert.match(error.message, reason)
        assert.doesNotMatch(error.message, /secret/)
        assert.equal(error.cause, undefined)
        return true
      },
    )
  }
  const deep = `{"op":"t","source":{"lsn":1e300,"schema":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`
  assert.throws(() => parseEnvelope(value(deep)), /nested too deeply/)
  const key = Buffer.from('{"id":1}')
  assert.throws(() => parseEnvelope({ ...value({ ts_ms: 1 }), key }), /ExtractNewRecordState/)
  assert.throws(() => parseEnvelope({ key, value: Buffer.from([0xff, 0x00]), headers: new Map() }), /not UTF-8/)
})

test('whatever the bytes are, the only error is one that names itself', () => {
  const read = (record: Parameters<typeof parseEnvelope>[0]): void => {
    try {
      parseEnvelope(record)
    } catch (error) {
      if (!(error instanceof TrackOpsError)) throw error
    }
  }
  const headers = new Map<string, string>()
  const bytes = fc.option(fc.uint8Array().map((array) => Buffer.from(array)))
  fc.assert(fc.property(bytes, bytes, (key, garbage) => read({ key, value: garbage, headers })))

  const field = fc.oneof(fc.jsonValue(), fc.constantFrom(null, 'c', 'd', 'm', 'BEGIN', 1e300, -1, 'postgresql'))
  const source = fc.dictionary(fc.constantFrom(...Object.keys(SOURCE), 'sequence', 'origin', 'origin_lsn'), field)
  const names = ['op', 'before', 'after', 'schema', 'payload', 'transaction', 'message', 'status', 'id', 'event_count']
  const document = fc
    .tuple(
      fc.dictionary(fc.constantFrom(...names), field),
      fc.option(fc.constantFrom('c', 'u', 'd', 'r', 't', 'm')),
      source,
    )
    .map(([fields, op, given]) => ({ ...fields, ...(op && { op }), source: { ...SOURCE, ...given } }))
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), document), fc.boolean(), (given, isInside) => {
      read(value(JSON.stringify(isInside ? { schema: given, payload: given } : given)))
    }),
    { numRuns: 1000 },
  )
})
