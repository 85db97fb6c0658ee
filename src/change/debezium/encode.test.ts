import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import type { ChangeEvent, StreamItem, Transaction } from '../change-event.ts'
import { toLsn } from '../lsn.ts'
import type { Relation } from '../relation.ts'
import type { RowImage } from '../row-image.ts'
import { createDebeziumEncoder, type DebeziumRecord } from './encode.ts'
import { complete, optionsOf, partial, relationOf } from './fixtures/build.ts'

const TRANSACTION: Transaction = {
  xid: 700,
  commitLsn: toLsn(2000n),
  commitTimeMicros: 1_000_000_000_000_001n,
  previousCommitEndLsn: null,
  origin: null,
}

function head(relation: Relation, ordinal = 1) {
  return { position: { commitLsn: toLsn(2000n), ordinal }, lsn: toLsn(1000n), transaction: TRANSACTION, relation }
}

function insert(after: ReturnType<typeof complete>): ChangeEvent {
  return { op: 'c', ...head(after.relation), after }
}

function update(before: RowImage | null, after: RowImage): ChangeEvent {
  return { op: 'u', ...head(after.relation), before, after }
}

function remove(before: RowImage): ChangeEvent {
  return { op: 'd', ...head(before.relation), before }
}

function encode(changes: readonly ChangeEvent[], ...properties: readonly string[]): readonly DebeziumRecord[] {
  const encoder = createDebeziumEncoder({ database: 'db', now: () => 1n, runId: 'run' }, optionsOf(...properties))
  const item: StreamItem = {
    kind: 'transaction',
    transaction: TRANSACTION,
    changes,
    isWhole: true,
    endLsn: toLsn(2100n),
    bytes: 0,
  }
  return [...encoder.encode(item)]
}

interface Value {
  readonly before: Record<string, unknown> | null
  readonly after: Record<string, unknown> | null
  readonly source: Record<string, unknown>
  readonly op: string
}

function valueOf(record: DebeziumRecord | undefined): Value {
  assert.ok(record?.value)
  return JSON.parse(record.value) as Value
}

const T = relationOf({ columns: { id: 'int4', a: 'text', n: { type: 'int4', default: '5' } } })

test('column lists leave fields out of the value, and keys as they are', () => {
  const [record] = encode([insert(complete(T, '1', 'x', '2'))], 'column.exclude.list=public.t.id,public\\.t\\.n')
  assert.equal(record?.key, '{"id":1}')
  assert.deepEqual(valueOf(record).after, { a: 'x' })
  const [other] = encode([insert(complete(T, '1', 'x', '2'))], 'column.include.list=public.t.n')
  assert.deepEqual(valueOf(other).after, { n: 2 })
})

test('without replace.null.with.default NULL stays null, and so does source.snapshot', () => {
  const [record] = encode([insert(complete(T, '1', null, null))], 'value.converter.replace.null.with.default=false')
  assert.deepEqual(valueOf(record).after, { id: 1, a: null, n: null })
  assert.equal(valueOf(record).source['snapshot'], null)
})

test('message.key.columns replaces the key, in the order given', () => {
  const properties = ['message.key.columns=public.(t|u):n,id']
  const [record] = encode([insert(complete(T, '1', 'x', '2'))], ...properties)
  assert.equal(record?.key, '{"n":2,"id":1}')
  const full = relationOf({ identity: 'full', columns: { id: 'int4', a: 'text', n: 'int4' } })
  const changed = encode([update(complete(full, '1', 'x', '2'), complete(full, '1', 'x', '3'))], ...properties)
  assert.deepEqual(
    changed.map(({ key, value }) => [key, value === null ? null : (JSON.parse(value) as Value).op]),
    [
      ['{"n":2,"id":1}', 'd'],
      ['{"n":2,"id":1}', null],
      ['{"n":3,"id":1}', 'c'],
    ],
  )
})

test('every data record and tombstone carries the context headers, unless they are switched off', () => {
  const records = encode([remove(partial(T, '1'))])
  assert.equal(records.length, 2)
  for (const { headers } of records) {
    assert.deepEqual(headers, {
      '__debezium.context.connectorLogicalName': 'tp',
      '__debezium.context.taskId': '0',
      '__debezium.context.connectorName': 'postgresql',
      '__debezium.context.runId': 'run',
    })
  }
  assert.deepEqual(encode([remove(partial(T, '1'))], 'extended.headers.enabled=false')[0]?.headers, {})
})

test('the headers of a changed key come before those of the context', () => {
  const row = (id: string) => complete(T, id, 'x', '2')
  const [deleted, , created] = encode([update(row('1'), row('2'))])
  assert.equal(Object.keys(deleted?.headers ?? {})[0], '__debezium.newkey')
  assert.equal(Object.keys(created?.headers ?? {})[0], '__debezium.oldkey')
})

test('a transaction begins where the server says, if that is earlier than the first change that is told', () => {
  const encoder = createDebeziumEncoder(
    { database: 'db', now: () => 1n, runId: 'run' },
    optionsOf('provide.transaction.metadata=true'),
  )
  const transaction = { ...TRANSACTION, beginLsn: toLsn(900n) }
  const changes = [insert(complete(T, '1', 'x', '2'))]
  const item: StreamItem = { kind: 'transaction', transaction, changes, isWhole: true, endLsn: null, bytes: 0 }
  assert.equal([...encoder.encode(item)][0]?.key, '{"id":"700:900"}')
})

test('a domain has no default, a numeric without a scale has one unless it is precise', () => {
  const columns = {
    id: 'int4',
    domain: { type: 'int4 domain', default: '5' },
    plain: { type: 'int4', default: '5' },
    numeric: { type: 'numeric', default: '1.5' },
    computed: { type: 'numeric', default: 'abs(1.5)' },
  }
  const after = (...properties: string[]) => {
    const rows = [insert(complete(relationOf({ columns }), '1', null, null, null, null))]
    return valueOf(encode(rows, ...properties)[0]).after
  }
  assert.deepEqual(after(), { id: 1, domain: null, plain: 5, numeric: null, computed: null })
  const [string, double] = ['decimal.handling.mode=string', 'decimal.handling.mode=double']
  assert.deepEqual(after(string), { id: 1, domain: null, plain: 5, numeric: '1.5', computed: '0.0' })
  assert.deepEqual(after(double), { id: 1, domain: null, plain: 5, numeric: 1.5, computed: 0 })
})

test('skipped operations are left out, yet their transaction has BEGIN and END', () => {
  const records = encode(
    [insert(complete(T, '1', 'x', '2'))],
    'skipped.operations=c',
    'provide.transaction.metadata=true',
  )
  assert.deepEqual(
    records.map(({ topic, value }) => [topic, JSON.parse(value ?? 'null') as unknown]),
    [
      [
        'tp.transaction',
        { status: 'BEGIN', id: '700:1000', event_count: null, data_collections: null, ts_ms: 1_000_000_000_000 },
      ],
      [
        'tp.transaction',
        { status: 'END', id: '700:2100', event_count: 0, data_collections: [], ts_ms: 1_000_000_000_000 },
      ],
    ],
  )
})

test('truncates are skipped by default', () => {
  assert.deepEqual(encode([{ op: 't', ...head(T) }]), [])
  assert.equal(encode([{ op: 't', ...head(T) }], 'skipped.operations=none').length, 1)
})

test('skip.messages.without.change drops an update only if no column that is written differs', () => {
  const full = relationOf({ identity: 'full', columns: { id: 'int4', a: 'text', n: 'int4' } })
  const [same, other] = [complete(full, '1', 'x', '2'), complete(full, '1', 'x', '3')]
  const skips = 'skip.messages.without.change=true'
  assert.equal(encode([update(same, same)], skips).length, 0)
  assert.equal(encode([update(same, other)], skips).length, 1)
  assert.equal(encode([update(same, other)], skips, 'column.exclude.list=public.t.n').length, 0)
  assert.equal(encode([update(same, same)]).length, 1)
  assert.equal(encode([update(null, same)], skips).length, 1)
})

test('masks and truncation change character columns, NULL too where it is masked, and never the key', () => {
  const people = relationOf({ columns: { id: 'text', name: 'varchar(10)', note: 'text', age: 'int4' } })
  const rows = [
    insert(complete(people, 'k', 'secret', 'long note', '7')),
    insert(complete(people, 'k', null, null, null)),
  ]
  const mask = encode(
    rows,
    'column.mask.with.3.chars=public.t.(id|name|age)',
    'column.truncate.to.4.chars=public.t.note',
  )
  assert.equal(mask[0]?.key, '{"id":"k"}')
  assert.deepEqual(valueOf(mask[0]).after, { id: '***', name: '***', note: 'long', age: 7 })
  assert.deepEqual(valueOf(mask[1]).after, { id: '***', name: '***', note: null, age: null })
  const hash = encode(rows, 'column.mask.hash.v2.SHA-256.with.salt.pepper=public.t.name,public.t.note')
  const digest = (text: string): string => createHash('sha256').update(`pepper${text}`).digest('hex')
  assert.deepEqual(valueOf(hash[0]).after, {
    id: 'k',
    name: digest('secret').slice(0, 10),
    note: digest('long note'),
    age: 7,
  })
  assert.equal(valueOf(hash[1]).after?.['name'], null)
})

test('topic names: delimiter, sanitising, other names for the transaction topic', () => {
  const odd = relationOf({ name: ['public', 'tablička 1'], columns: { id: 'int4' } })
  assert.equal(encode([insert(complete(odd, '1'))])[0]?.topic, 'tp.public.tabli_ka_1')
  const properties = ['topic.delimiter=_', 'topic.transaction=tx', 'provide.transaction.metadata=true']
  const topics = encode([insert(complete(T, '1', 'x', '2'))], ...properties).map(({ topic }) => topic)
  assert.deepEqual(topics, ['tp_tx', 'tp_public_t', 'tp_tx'])
  const alone: ChangeEvent = {
    op: 'm',
    ...head(T),
    isTransactional: false,
    prefix: 'p',
    content: Buffer.alloc(0),
  }
  assert.equal(encode([alone], 'topic.delimiter=_')[0]?.topic, 'tp.message')
  const long = relationOf({ name: ['s'.repeat(200), 't'.repeat(200)], columns: { id: 'int4' } })
  assert.equal(encode([insert(complete(long, '1'))])[0]?.topic.length, 249)
})

test('an unmapped column has no field; a table without columns that are written is an empty object', () => {
  const odd = relationOf({ key: [], columns: { q: 'tsquery' } })
  const [record] = encode([insert(complete(odd, 'a'))])
  assert.equal(record?.key, null)
  assert.deepEqual(valueOf(record).after, {})
})

test('field.name.adjustment.mode=avro makes names that Avro allows', () => {
  const odd = relationOf({ columns: { '1st': 'int4', 'col-one': 'int4' } })
  const [record] = encode([insert(complete(odd, '1', '2'))], 'field.name.adjustment.mode=avro')
  assert.deepEqual(valueOf(record).after, { _1st: 1, col_one: 2 })
})

test('a value that its type cannot have is an error that names the column and not the value', () => {
  const dates = relationOf({ columns: { id: 'int4', at: 'date' } })
  assert.throws(
    () => encode([insert(complete(dates, '1', 'secret'))]),
    (error: Error) => {
      return error.message.includes('column at') && !error.message.includes('secret')
    },
  )
})

test('message prefixes are filtered by their lists', () => {
  const message: ChangeEvent = {
    op: 'm',
    position: { commitLsn: toLsn(1000n), ordinal: 1 },
    lsn: toLsn(1000n),
    transaction: TRANSACTION,
    isTransactional: true,
    prefix: 'audit',
    content: Buffer.from('x'),
  }
  assert.equal(encode([message]).length, 1)
  assert.equal(encode([message], 'message.prefix.exclude.list=au.*').length, 0)
  assert.equal(encode([message], 'message.prefix.include.list=other').length, 0)
})

test('heartbeats go to a topic of their own', () => {
  const deps = { database: 'db', now: () => 1_795_332_250_427_000_000n, runId: 'run' }
  assert.deepEqual(createDebeziumEncoder(deps, optionsOf()).heartbeat(), {
    topic: '__debezium-heartbeat.tp',
    key: '{"serverName":"tp"}',
    value: '{"ts_ms":1795332250427}',
    headers: {},
  })
  assert.equal(createDebeziumEncoder(deps, optionsOf('topic.heartbeat.name=hb')).heartbeat().topic, 'hb')
})
