import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { TrackOpsError } from '../../../runtime/errors.ts'
import type { ChangeEvent } from '../../change-event.ts'
import type { Relation } from '../../relation.ts'
import { columnText } from '../../row-image.ts'
import { createDebeziumEncoder } from '../encode.ts'
import { complete, optionsOf, partial, relationOf, type RelationSpec } from '../fixtures/build.ts'
import { rowOf } from '../fixtures/raw.ts'
import { changeOf, recordedCase, type Recorded, type Texts } from '../fixtures/recorded.ts'
import { itemOf } from '../fixtures/replay.ts'
import { createChangeDecoder } from './change-of-envelope.ts'
import type { RowEnvelope } from './envelope.ts'

function decode(envelope: RowEnvelope, relation: Relation, ...pairs: readonly string[]): ChangeEvent {
  return createChangeDecoder(optionsOf(...pairs)).changeOf(envelope, relation, {
    commitLsn: envelope.lsn,
    ordinal: 1,
  })
}

function recorded(name: string, index: number): Recorded {
  return recordedCase(name)[index] ?? assert.fail(`no record ${index} of ${name}`)
}

/** What an event says of its rows, as objects; undefined where it does not say. */
function rowsOf(event: ChangeEvent): { before?: object | null; after?: object } {
  const named = (row: { relation: Relation; texts: Texts } | null) => {
    return row && Object.fromEntries(row.relation.columns.map(({ name }, index) => [name, row.texts[index]]))
  }
  return {
    ...('before' in event && { before: named(event.before) }),
    ...('after' in event && { after: named(event.after) ?? {} }),
  }
}

const ENVELOPE = '"source":{"connector":"postgresql","schema":"public","table":"t","ts_us":1,"txId":7,"lsn":9}'

function envelopeOf(op: string, before: string, after: string, headers: Record<string, string> = {}): RowEnvelope {
  return rowOf({ key: null, value: `{"op":"${op}",${ENVELOPE},"before":${before},"after":${after}}`, headers })
}

const ROW: RelationSpec = { columns: { id: 'int4', a: 'text', n: 'numeric', s: 'numeric(10,2)', b: 'bool' } }

test('an update without an old row: a null that may be an unchanged TOAST value is unknown', () => {
  const row = '{"id":1,"a":null,"n":null,"s":null,"b":null}'
  const known = { id: '1', a: null, s: null, b: null }
  for (const identity of ['default', 'index', 'full'] as const) {
    const relation = relationOf({ ...ROW, identity })
    // FULL by now, but the record has no old row: it was not when the row was changed.
    assert.deepEqual(rowsOf(decode(envelopeOf('u', 'null', row), relation)), {
      before: null,
      after: { ...known, n: undefined },
    })
  }
  const relation = relationOf({ ...ROW, identity: 'full' })
  const all = { ...known, n: null }
  assert.deepEqual(rowsOf(decode(envelopeOf('u', row, row), relation)), { before: all, after: all })
  assert.deepEqual(rowsOf(decode(envelopeOf('c', 'null', row), relationOf(ROW))), { after: all })
  assert.deepEqual(rowsOf(decode(envelopeOf('r', 'null', row), relationOf(ROW))), { after: all })
  const arrives = envelopeOf('c', 'null', row, { '__debezium.oldkey': '{"id":2}' })
  assert.deepEqual(rowsOf(decode(arrives, relationOf(ROW))), { after: { ...known, n: undefined } })
  assert.deepEqual(rowsOf(decode(envelopeOf('u', 'null', row), relationOf(ROW), 'decimal.handling.mode=string')), {
    before: null,
    after: all,
  })
})

test('an old row outside of FULL is its identity, whatever else the record has', () => {
  const row = '{"id":1,"a":"","n":null,"s":"AA==","b":false}'
  const identity = { id: '1', a: undefined, n: undefined, s: undefined, b: undefined }
  const event = decode(envelopeOf('d', row, 'null'), relationOf(ROW))
  assert.deepEqual(rowsOf(event), { before: identity })
  assert.ok(event.op === 'd' && event.before.kind === 'partial')
  // USING INDEX on another column: the key of the record is a fallback.
  const byIndex = relationOf({ ...ROW, identity: 'index', identityColumns: ['a'] })
  assert.deepEqual(rowsOf(decode(envelopeOf('d', '{"id":0,"a":"x","b":false}', 'null'), byIndex)), {
    before: { id: undefined, a: 'x', n: undefined, s: undefined, b: undefined },
  })
  assert.deepEqual(rowsOf(decode(envelopeOf('d', 'null', 'null'), relationOf(ROW))), {
    before: { ...identity, id: undefined },
  })
})

test('columns are found by name: what the event lacks is unknown, what the table lacks is ignored', () => {
  const relation = relationOf({ columns: { b: 'text', id: 'int4', toString: 'text', ['__proto__']: 'text' } })
  const event = decode(envelopeOf('c', 'null', '{"id":1,"dropped":true,"b":"x"}'), relation)
  assert.ok(event.op === 'c')
  assert.equal(event.after.kind, 'partial')
  assert.deepEqual(event.after.texts.slice(0, 3), ['x', '1', undefined])
  const whole = decode(envelopeOf('c', 'null', '{"id":1,"toString":"y","b":null}'), relation)
  assert.ok(whole.op === 'c')
  assert.equal(columnText(whole.after, 'toString'), 'y')
})

test('a name streams as null whatever it is', () => {
  const relation = relationOf({ columns: { id: 'int4', n: 'name' } })
  const after = (op: string) => rowsOf(decode(envelopeOf(op, 'null', '{"id":1,"n":null}'), relation)).after
  assert.deepEqual(after('c'), { id: '1', n: undefined })
  assert.deepEqual(after('r'), { id: '1', n: null })
})

test('the placeholder of an unchanged TOAST value is unknown, in each of its forms', () => {
  const spec: Record<string, readonly string[]> = {
    text: [],
    'varchar(5000)': [],
    jsonb: [],
    xml: [],
    tsvector: [],
    citext: [],
    bytea: [],
    'text[]': [],
    'jsonb[]': [],
    'bytea[]': [],
    'int4[]': [],
    'int8[]': [],
    'date[]': [],
    'uuid[]': [],
    'float8[]': [],
    'numeric[]': [],
    hstore: [],
    geometry: [],
    'vector(900)': [],
    numeric: ['decimal.handling.mode=string'],
    'numeric(900,2)': ['decimal.handling.mode=double'],
  }
  for (const [type, pairs] of Object.entries(spec)) {
    const forms = [
      pairs,
      [...pairs, 'binary.handling.mode=hex'],
      [...pairs, 'binary.handling.mode=base64'],
      [...pairs, 'hstore.handling.mode=map'],
      [...pairs, 'unavailable.value.placeholder=hex:00ff01'],
      [...pairs, 'time.precision.mode=isostring'],
    ]
    const relation = relationOf({ columns: { id: 'int4', v: type } })
    for (const properties of forms) {
      const head = head0(relation)
      const update = { op: 'u' as const, ...head, before: null, after: partial(relation, '1') }
      const [record] = encode(update, ...properties)
      const event = decode(rowOf(record), relation, ...properties)
      assert.deepEqual(event, update, `${type} ${properties.join(' ')}`)
    }
  }
})

function head0(relation: Relation) {
  const [lsn, commitTimeMicros] = [9n, 1n]
  const transaction = { xid: 7, commitLsn: lsn, commitTimeMicros, previousCommitEndLsn: null, origin: null }
  return { position: { commitLsn: lsn, ordinal: 1 }, lsn, transaction, relation } as unknown as Pick<
    Extract<ChangeEvent, { op: 't' }>,
    'position' | 'lsn' | 'transaction' | 'relation'
  >
}

function encode(event: ChangeEvent, ...pairs: readonly string[]) {
  const deps = { database: 'd', now: () => 1_000_000n, runId: 'run' }
  const records = [...createDebeziumEncoder(deps, optionsOf(...pairs)).encode(itemOf(event))]
  return records as [(typeof records)[0], ...typeof records]
}

test('a changed key that keeps its TOAST values arrives as a partial row', () => {
  const relation = relationOf({ columns: { id: 'int4', big: 'text' } })
  const update = { op: 'u' as const, ...head0(relation), before: partial(relation, '1'), after: partial(relation, '2') }
  const events = encode(update)
    .filter(({ value }) => value !== null)
    .map((record) => decode(rowOf(record), relation))
  assert.deepEqual(events, [
    { op: 'd', ...head0(relation), before: partial(relation, '1') },
    { op: 'c', ...head0(relation), after: partial(relation, '2') },
  ])
})

test('integers above 2^53 are exact, with and without a schema, next to what is no integer', () => {
  const relation = relationOf({ columns: { id: 'int8', a: 'int8[]', f: 'float8', t: 'timestamp', m: 'money' } })
  const row = '{"id":9007199254740993,"a":[-9223372036854775808,1],"f":1.0E300,"t":9223371331199999999,"m":null}'
  const expected = {
    id: '9007199254740993',
    a: '{-9223372036854775808,1}',
    f: '1e+300',
    t: '294247-01-01 23:59:59.999999',
    m: null,
  }
  assert.deepEqual(rowsOf(decode(envelopeOf('c', 'null', row), relation)).after, expected)
  const value = `{"schema":{},"payload":{"op":"c",${ENVELOPE},"after":${row}}}`
  assert.deepEqual(rowsOf(decode(rowOf({ key: null, value, headers: {} }), relation)).after, expected)
  const beyond = `{"id":${'9'.repeat(400)}}`
  assert.throws(() => decode(envelopeOf('c', 'null', beyond), relation), isDecodeError)
})

test('a value that its column cannot have is refused with column and type, and without itself', () => {
  const relation = relationOf({ columns: { id: 'int4', v: 'hstore' } })
  assert.throws(
    () => decode(envelopeOf('c', 'null', '{"id":1,"v":"secret"}'), relation),
    (error) => {
      assert.ok(isDecodeError(error))
      assert.match(error.message, /cannot read column v of public\.t as hstore/)
      assert.deepEqual(error.details, { table: 'public.t', column: 'v', type: 'hstore' })
      assert.doesNotMatch(JSON.stringify([error.message, error.stack, error.cause]), /secret/)
      return true
    },
  )
})

function isDecodeError(error: unknown): error is TrackOpsError {
  return error instanceof TrackOpsError && error.code === 'DECODE'
}

test("the schema of a record goes before the connector's settings", () => {
  const value = readFileSync(new URL('../fixtures/with-schema.json', import.meta.url), 'utf8')
  const envelope = rowOf({ key: null, value, headers: {} })
  const after = { id: '1', customer: 'a', qty: '5', amount: '12.34', placed: '2024-01-02 03:04:05+00' }
  const columns = { id: 'int4', customer: 'text', qty: 'int4', amount: 'numeric(10,2)', placed: 'timestamptz' }
  for (const mode of ['precise', 'string', 'double']) {
    const event = decode(envelope, relationOf({ columns }), `decimal.handling.mode=${mode}`)
    assert.deepEqual(rowsOf(event), { after })
    assert.ok(event.op === 'c' && event.after.kind === 'complete')
  }
  // Its scale was another one when the record was written.
  const altered = relationOf({ columns: { ...columns, amount: 'numeric(12,4)' } })
  assert.deepEqual(rowsOf(decode(envelope, altered)).after, after)
})

test('each form of a type is known by its schema, and that of another type refused', () => {
  const read = (type: string, schema: object, json: unknown): unknown => {
    const field = { ...schema, optional: true, field: 'v' }
    const image = { type: 'struct', fields: [field], optional: true, field: 'after' }
    const payload = { op: 'c', source: { schema: 'public', table: 't', ts_us: 1, lsn: 9 }, after: { v: json } }
    const value = JSON.stringify({ schema: { type: 'struct', fields: [image] }, payload })
    const relation = relationOf({ columns: { v: type } })
    // Settings that are all wrong.
    const wrong = ['time.precision.mode=isostring', 'binary.handling.mode=hex', 'decimal.handling.mode=double']
    const event = decode(rowOf({ key: null, value, headers: {} }), relation, ...wrong)
    return event.op === 'c' ? event.after.texts[0] : assert.fail()
  }
  const time = (name: string) => ({ type: 'int64', name: `io.debezium.time.${name}` })
  const connect = (name: string) => ({ type: 'int32', name: `org.apache.kafka.connect.data.${name}` })
  const decimal = { type: 'bytes', name: 'org.apache.kafka.connect.data.Decimal', parameters: { scale: '2' } }
  const variable = { type: 'struct', name: 'io.debezium.data.VariableScaleDecimal' }
  const cases: readonly (readonly [string, object, unknown, string | undefined])[] = [
    ['date', time('Date'), 17_109, '2016-11-04'],
    ['date', connect('Date'), 17_109, '2016-11-04'],
    ['time', time('MicroTime'), 1_000_000, '00:00:01'],
    ['time(3)', time('Time'), 1000, '00:00:01'],
    ['time(3)', connect('Time'), 1000, '00:00:01'],
    ['time', time('NanoTime'), 1_000_000_000, '00:00:01'],
    ['timestamp(3)', time('Timestamp'), 1001, '1970-01-01 00:00:01.001'],
    ['timestamp', connect('Timestamp'), 1001, undefined],
    ['timestamp', time('MicroTimestamp'), 1001, '1970-01-01 00:00:00.001001'],
    ['timestamp', time('NanoTimestamp'), 1_001_000, '1970-01-01 00:00:00.001001'],
    [
      'timestamp',
      { type: 'string', name: 'io.debezium.time.IsoTimestamp' },
      '1970-01-01T00:00:01Z',
      '1970-01-01 00:00:01',
    ],
    ['interval', time('MicroDuration'), 1, undefined],
    ['interval', { type: 'string', name: 'io.debezium.time.Interval' }, 'P0Y0M1DT0H0M0S', '1 day'],
    ['numeric(9,3)', decimal, 'BNI=', '12.34'],
    ['numeric', variable, { scale: 1, value: 'Dw==' }, '1.5'],
    ['numeric(9,3)', { type: 'string' }, '1.500', '1.500'],
    ['numeric(9,3)', { type: 'double' }, 1.5, '1.500'],
    ['money', decimal, 'AeIT', '$1,234.11'],
    ['bytea', { type: 'bytes' }, '/w==', '\\xff'],
    ['circle', { type: 'bytes' }, Buffer.from('<(1.0,2.0),3.0>').toString('base64'), '<(1,2),3>'],
    ['numeric(9,3)[]', { type: 'array', items: decimal }, ['BNI='], '{12.34}'],
    ['timestamp[]', { type: 'array', items: time('MicroTimestamp') }, [0], '{"1970-01-01 00:00:00"}'],
  ]
  for (const [type, schema, json, text] of cases)
    assert.equal(read(type, schema, json), text, `${type} ${JSON.stringify(schema)}`)
  const refused: readonly (readonly [string, object, unknown])[] = [
    ['timestamp', time('Date'), 17_109],
    ['int8', time('MicroTimestamp'), 1],
    ['text', { type: 'string', name: 'io.debezium.time.ZonedTimestamp' }, '2016-11-04T11:51:30Z'],
    ['numeric', { type: 'int32' }, 1],
    ['date', { type: 'string' }, '2016-11-04Z'],
  ]
  for (const [type, schema, json] of refused) assert.throws(() => read(type, schema, json), isDecodeError, type)
})

test('before ADD COLUMN, and with a generated column, a row is partial', () => {
  const relation = relationOf({ columns: { id: 'int4', a: 'text', b: 'int4', c: 'text' } })
  const rows = recordedCase('ddl-add-column').map((record) => rowsOf(decode(rowOf(record), relation)).after)
  assert.deepEqual(rows, [
    { id: '1', a: 'x', b: '1', c: undefined },
    { id: '2', a: 'y', b: '2', c: 'c' },
    { id: '1', a: 'x', b: '5', c: null },
  ])
  const generated = relationOf({ columns: { id: 'int4', a: 'int4', dbl: 'int4' } })
  const [snapshot, insert] = recordedCase('gen-stored-column').map((record) => decode(rowOf(record), generated))
  assert.deepEqual(
    [snapshot, insert].map((event) => event && rowsOf(event).after),
    [
      { id: '1', a: '10', dbl: '20' },
      { id: '2', a: '20', dbl: undefined },
    ],
  )
})

test('rows of an incremental snapshot are as those of the first one', () => {
  const relation = relationOf({ columns: { pk: 'int4', aa: 'int4' } })
  const row = recordedCase('signal-incremental-snapshot').find(({ topic }) => topic === 'tp.public.a')
  const event = decode(rowOf(row ?? assert.fail()), relation)
  assert.ok(event.op === 'r')
  assert.deepEqual([event.marker, event.after], ['true', complete(relation, '1', '1')])
})

test('the placeholder that PostgreSQL itself caused', () => {
  const relation = relationOf({ name: ['public', 'tt'], columns: { id: 'int4', n: 'int4', big: 'text' } })
  const record = recorded('toast-text', 0)
  assert.deepEqual(decode(rowOf(record), relation), changeOf(record, relation, { after: ['1', '2', undefined] }))
})
