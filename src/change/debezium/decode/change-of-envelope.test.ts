import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ChangeEvent } from '../../change-event.ts'
import type { Relation } from '../../relation.ts'
import { columnText } from '../../row-image.ts'
import { createDebeziumEncoder } from '../encode.ts'
import { complete, optionsOf, partial, relationOf, type RelationSpec } from '../fixtures/build.ts'
import { decode, envelopeOf, isDecodeError, rowOf, rowsOf, SOURCE_MEMBER } from '../fixtures/raw.ts'
import { changeOf, recordedCase, type Recorded } from '../fixtures/recorded.ts'
import { itemOf } from '../fixtures/replay.ts'

function recorded(name: string, index: number): Recorded {
  return recordedCase(name)[index] ?? assert.fail(`no record ${index} of ${name}`)
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
  const value = `{"schema":{},"payload":{"op":"c",${SOURCE_MEMBER},"after":${row}}}`
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
