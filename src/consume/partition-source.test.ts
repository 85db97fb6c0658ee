import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ChangeDecoder } from '../change/debezium/decode/change-of-envelope.ts'
import { createChangeDecoder } from '../change/debezium/decode/change-of-envelope.ts'
import { parseDebeziumOptions } from '../change/debezium/options.ts'
import { type Lsn, toLsn } from '../change/lsn.ts'
import type { FetchedRecords, KafkaRecord } from '../log/kafka/committed-records.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { ITEMS, place } from './change-fixture.ts'
import { createPartitionSource, type UnreadableRecord } from './partition-source.ts'

const decoder: ChangeDecoder = createChangeDecoder(parseDebeziumOptions([], { topicPrefix: 'p' }))
const NEVER = new AbortController().signal

interface Told {
  readonly op?: 'c' | 'u' | 'd' | 'r'
  readonly xid?: number
  readonly lsn?: number
  readonly id?: string
  readonly snapshot?: string | null
  readonly table?: string
  /** End of the commit before its own. */
  readonly previous?: number | null
}

function envelope(told: Told): string {
  const { op = 'c', xid = 10, lsn = 100, id = 'a', snapshot = null, table = 'items', previous = null } = told
  const row = { id, owner: null, status: 'S', details: null }
  const source = {
    connector: 'postgresql',
    schema: 'public',
    table,
    txId: xid,
    lsn,
    ts_us: 5,
    snapshot,
    sequence: JSON.stringify([previous === null ? null : String(previous), String(lsn)]),
  }
  return JSON.stringify({ before: null, after: row, source, op })
}

function record(offset: number, value: string | null, key = 'a'): KafkaRecord {
  return {
    offset: BigInt(offset),
    key: Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers: new Map(),
  }
}

function sourceOver(...batches: readonly (readonly KafkaRecord[])[]) {
  const asked: bigint[] = []
  const unreadable: UnreadableRecord[] = []
  const snapshots: Lsn[] = []
  const refreshed: string[] = []
  const source = createPartitionSource({
    partition: {
      async *read(from) {
        asked.push(from)
        for (const records of batches) {
          const nextOffset = (records.at(-1)?.offset ?? -1n) + 1n
          const fetched: FetchedRecords = { records, nextOffset, endOffset: nextOffset, bytes: 10 }
          yield await Promise.resolve(fetched)
        }
      },
    },
    decoder,
    relations: {
      of: (_schema, table) =>
        table === 'items'
          ? Promise.resolve(ITEMS)
          : Promise.reject(new TrackOpsError('CONFIG_INVALID', `there is no table ${table}`)),
      refresh: (_schema, table) => {
        refreshed.push(table)
        return table === 'items'
          ? Promise.resolve(ITEMS)
          : Promise.reject(new TrackOpsError('CONFIG_INVALID', `there is no table ${table}`))
      },
    },
    onUnreadable: (one) => Promise.resolve(void unreadable.push(one)),
    onSnapshot: (point) => Promise.resolve(void snapshots.push(point)),
  })
  source.seek?.(place(3))
  return { source, asked, unreadable, snapshots, refreshed }
}

test('it reads from where its reader tells, and gives changes at their offsets, then how far it is', async () => {
  const { source, asked } = sourceOver([record(3, envelope({})), record(4, envelope({ xid: 11 }))])
  const items = await source.next({ changes: 100 }, NEVER)
  assert.deepEqual(asked, [3n])
  assert.deepEqual(
    items?.map((item) =>
      item.kind === 'transaction' ? [item.transaction.xid, item.isWhole, item.changes[0]?.position] : item,
    ),
    [
      [10, true, { commitLsn: toLsn(3n), ordinal: 1 }],
      [11, false, { commitLsn: toLsn(4n), ordinal: 1 }],
      { kind: 'progress', lsn: toLsn(5n) },
    ],
  )
  assert.equal(await source.next({ changes: 100 }, NEVER), undefined)
})

test('P3: what a connector sends again behind newer transactions comes as pieces, until it is where it was', async () => {
  const sent = [
    envelope({ xid: 10, lsn: 100, previous: null }),
    envelope({ xid: 11, lsn: 110, previous: 105 }),
    envelope({ xid: 12, lsn: 120, previous: 115 }),
  ]
  const later = envelope({ xid: 13, lsn: 130, previous: 125 })
  const again = [...sent, ...sent, later, envelope({ xid: 14, lsn: 140, previous: 135 })]
  const { source } = sourceOver(
    again.slice(0, 5).map((value, index) => record(3 + index, value)),
    again.slice(5).map((value, index) => record(8 + index, value)),
  )
  const wholes: (readonly [number, boolean])[] = []
  for (
    let items = await source.next({ changes: 100 }, NEVER);
    items;
    items = await source.next({ changes: 100 }, NEVER)
  )
    for (const item of items) if (item.kind === 'transaction') wholes.push([item.transaction.xid, item.isWhole])
  assert.deepEqual(wholes, [
    [10, true],
    [11, true],
    [12, true],
    [10, false],
    // Also the last that was fetched: more of it may come.
    [11, false],
    [12, true],
    [13, true],
    [14, false],
  ])
})

test('a slot that was made anew begins another order', async () => {
  const { source } = sourceOver([
    record(3, envelope({ xid: 10, lsn: 100, previous: 95 })),
    record(4, envelope({ op: 'r', xid: 11, lsn: 20, snapshot: 'last' })),
    record(5, envelope({ xid: 12, lsn: 30, previous: 25 })),
    record(6, envelope({ xid: 13, lsn: 40, previous: 35 })),
  ])
  const items = await source.next({ changes: 100 }, NEVER)
  assert.deepEqual(
    items?.flatMap((item) => (item.kind === 'transaction' ? [[item.transaction.xid, item.isWhole]] : [])),
    [
      [10, true],
      [12, true],
      [13, false],
    ],
  )
})

test('tombstones, heartbeats and transaction records say nothing about rows, and only move it', async () => {
  const { source, unreadable } = sourceOver([
    record(3, null),
    record(4, '{"ts_ms":1}', '{"serverName":"p"}'),
    record(5, '{"status":"BEGIN","id":"1:2","event_count":null,"data_collections":null,"ts_ms":1}', '{"id":"1:2"}'),
  ])
  assert.deepEqual(await source.next({ changes: 100 }, NEVER), [{ kind: 'progress', lsn: toLsn(6n) }])
  assert.deepEqual(unreadable, [])
})

test('L4: what cannot be read is told before what follows it is given, and does not hold it up', async () => {
  const { source, unreadable, refreshed } = sourceOver([
    record(3, 'not json'),
    record(4, envelope({ table: 'gone' })),
    record(5, envelope({})),
  ])
  const items = await source.next({ changes: 100 }, NEVER)
  assert.deepEqual(
    unreadable.map(({ offset, table, error }) => [offset, table, error.code]),
    [
      [3n, null, 'DECODE'],
      [4n, 'public.gone', 'CONFIG_INVALID'],
    ],
  )
  assert.deepEqual(refreshed, ['gone'], 'the catalog was asked anew before it was given up')
  assert.equal(items?.filter(({ kind }) => kind === 'transaction').length, 1)
})

test('what passes, such as a database that is down, is nobody’s dead letter', async () => {
  const down = new TrackOpsError('POSTGRES_UNREACHABLE', 'down')
  const source = createPartitionSource({
    partition: {
      async *read() {
        yield await Promise.resolve({ records: [record(0, envelope({}))], nextOffset: 1n, endOffset: 1n, bytes: 1 })
      },
    },
    decoder,
    relations: { of: () => Promise.reject(down), refresh: () => Promise.reject(down) },
    onUnreadable: () => assert.fail('nothing is wrong with the record'),
  })
  source.seek?.(place(0))
  await assert.rejects(source.next({ changes: 1 }, NEVER), { code: 'POSTGRES_UNREACHABLE' })
})

test('a snapshot is told once, and again when the slot was made anew', async () => {
  const row = (offset: number, point: number) =>
    record(offset, envelope({ op: 'r', lsn: point, snapshot: 'true' }), String(offset))
  const { source, snapshots } = sourceOver([row(3, 50), row(4, 50)], [row(5, 50), row(6, 90)])
  await source.next({ changes: 100 }, NEVER)
  await source.next({ changes: 100 }, NEVER)
  assert.deepEqual(snapshots, [toLsn(50n), toLsn(90n)])
})

test('not more than was asked for is given at a time, and nothing is left behind', async () => {
  const { source } = sourceOver([1, 2, 3, 4].map((xid, index) => record(3 + index, envelope({ xid }))))
  const sizes: number[] = []
  for (let items = await source.next({ changes: 2 }, NEVER); items; items = await source.next({ changes: 2 }, NEVER)) {
    sizes.push(items.filter(({ kind }) => kind === 'transaction').length)
  }
  assert.deepEqual(sizes, [2, 2])
})
