import assert from 'node:assert/strict'
import { test } from 'node:test'

import { committedRecords, type FetchResponsePartition } from './committed-records.ts'

type Batch = NonNullable<FetchResponsePartition['records']>[number]

const COMMIT = Buffer.from([0, 0, 0, 1])
const ABORT = Buffer.from([0, 0, 0, 0])

/** Records at consecutive offsets. `tx`: written in a transaction of that producer. */
function batch(firstOffset: bigint, values: readonly string[], tx?: bigint): Batch {
  return part(
    firstOffset,
    tx === undefined ? 0 : 0x10,
    tx ?? -1n,
    values.map((value) => [null, Buffer.from(value)]),
  )
}

function marker(offset: bigint, tx: bigint, key: Buffer): Batch {
  return part(offset, 0x30, tx, [[key, Buffer.alloc(6)]])
}

function part(
  firstOffset: bigint,
  attributes: number,
  producerId: bigint,
  records: readonly (readonly [Buffer | null, Buffer])[],
): Batch {
  return {
    firstOffset,
    length: 100,
    partitionLeaderEpoch: 0,
    magic: 2,
    crc: 0,
    attributes,
    lastOffsetDelta: records.length - 1,
    firstTimestamp: 0n,
    maxTimestamp: 0n,
    producerId,
    producerEpoch: 0,
    firstSequence: 0,
    records: records.map(([key, value], offsetDelta) => ({
      length: 10,
      attributes: 0,
      timestampDelta: 0n,
      offsetDelta,
      key,
      value,
      headers: [[Buffer.from('event-id'), Buffer.from('e')]],
    })),
  }
}

function read(
  records: Batch[],
  options: { from?: bigint; aborted?: [producerId: bigint, firstOffset: bigint][] } = {},
) {
  const fetched = committedRecords(
    {
      partitionIndex: 0,
      errorCode: 0,
      highWatermark: 100n,
      lastStableOffset: 99n,
      logStartOffset: 0n,
      abortedTransactions: (options.aborted ?? []).map(([producerId, firstOffset]) => ({ producerId, firstOffset })),
      preferredReadReplica: -1,
      records,
    },
    options.from ?? 0n,
  )
  const values = fetched.records.map(({ offset, value }) => `${offset}:${value?.toString()}`)
  return { values, nextOffset: fetched.nextOffset, endOffset: fetched.endOffset }
}

test('records of an aborted transaction are left out, those of a later one of the same producer are not', () => {
  const records = [
    batch(0n, ['plain']),
    batch(1n, ['aborted'], 7n),
    batch(2n, ['other'], 8n),
    marker(3n, 7n, ABORT),
    marker(4n, 8n, COMMIT),
    batch(5n, ['again'], 7n),
    marker(6n, 7n, COMMIT),
  ]
  assert.deepEqual(read(records, { aborted: [[7n, 1n]] }), {
    values: ['0:plain', '2:other', '5:again'],
    nextOffset: 7n,
    endOffset: 99n,
  })
})

test('a transaction that is aborted twice in one answer is left out twice, whatever the order of the list', () => {
  const records = [
    batch(0n, ['a'], 7n),
    marker(1n, 7n, ABORT),
    batch(2n, ['b'], 7n),
    marker(3n, 7n, ABORT),
    batch(4n, ['c'], 7n),
    marker(5n, 7n, COMMIT),
  ]
  const aborted: [bigint, bigint][] = [
    [7n, 2n],
    [7n, 0n],
  ]
  assert.deepEqual(read(records, { aborted }).values, ['4:c'])
})

test('the broker gives whole batches: what lies before the place that was asked for is left out', () => {
  assert.deepEqual(read([batch(0n, ['a', 'b', 'c']), batch(3n, ['d'])], { from: 2n }).values, ['2:c', '3:d'])
  assert.deepEqual(read([batch(0n, ['a'])], { from: 1n }), { values: [], nextOffset: 1n, endOffset: 99n })
})

test('markers and aborted records alone move the place, so that they are not asked for again', () => {
  assert.deepEqual(read([batch(0n, ['a'], 7n), marker(1n, 7n, ABORT)], { aborted: [[7n, 0n]] }), {
    values: [],
    nextOffset: 2n,
    endOffset: 99n,
  })
  assert.equal(read([]).nextOffset, 0n)
})
