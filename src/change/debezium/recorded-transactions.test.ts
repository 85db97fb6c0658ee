import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ChangeEvent, StreamItem } from '../change-event.ts'
import { toLsn } from '../lsn.ts'
import { relationOf } from './fixtures/build.ts'
import { changeOf, parseEnvelope, recordedCase, transactionOf, type Recorded } from './fixtures/recorded.ts'
import { assertReplay, itemOf } from './fixtures/replay.ts'

const T = relationOf({ columns: { id: 'int4', a: 'text', b: 'int4' } })

function lsnOfId(record: Recorded | undefined): bigint {
  const { id } = JSON.parse(record?.key ?? '{}') as { id?: string }
  return BigInt(id?.split(':')[1] ?? 0)
}

/** The changes of one transaction, and its end as the END record has it. */
function transactionItem(changes: readonly ChangeEvent[], end: Recorded | undefined): StreamItem {
  const [first] = changes
  assert.ok(first)
  const endLsn = toLsn(lsnOfId(end))
  return { kind: 'transaction', transaction: first.transaction, changes, isWhole: true, endLsn, bytes: 0 }
}

test('transaction metadata is what Debezium wrote: tx-multi-table-metadata', () => {
  const records = recordedCase('tx-multi-table-metadata')
  const s1 = relationOf({ name: ['s1', 'a'], columns: { pk: 'int4', aa: 'int4' } })
  const s2 = relationOf({ name: ['s2', 'a'], columns: { pk: 'int4', aa: 'int4', bb: 'text' } })
  const [, insert1, insert2, update, remove] = records
  assert.ok(insert1 && insert2 && update && remove)
  const changes = [
    changeOf(insert1, s1, { after: ['1', '1'] }),
    changeOf(insert2, s2, { after: ['1', '1', null] }),
    changeOf(update, s1, { after: ['1', '2'] }),
    changeOf(remove, s2, { before: ['1'] }),
  ]
  assertReplay(records, [transactionItem(changes, records.at(-1))], 'provide.transaction.metadata=true')
})

test('transaction metadata is the same when the transaction comes in pieces', () => {
  const records = recordedCase('tx-interleaved')
  const [, insertB, endB, , insertA, insertA2, endA] = records
  assert.ok(insertB && insertA && insertA2)
  const first = changeOf(insertA, T, { after: ['1', 'A first', '1'] })
  const second = changeOf(insertA2, T, { after: ['3', 'A second', '3'] })
  const piece = { ...transactionItem([first], endA), isWhole: false, endLsn: null } as StreamItem
  const items = [
    transactionItem([changeOf(insertB, T, { after: ['2', 'B autocommit', '2'] })], endB),
    piece,
    transactionItem([second], endA),
  ]
  assertReplay(records, items, 'provide.transaction.metadata=true')
})

test('logical messages are what Debezium wrote, but for the name in END that is a Java address there', () => {
  const recorded = recordedCase('msg-transactional')
  const records = recorded.map((record) => ({
    ...record,
    value: record.value?.replace(/io\.debezium\.[^"]+/, 'LOGICAL_DECODING_MESSAGE') ?? null,
  }))
  // A hash map's order: ours is that of the first event of each.
  const last = records.pop()
  assert.ok(last)
  const swapped = last.value?.replace(/\[(\{[^}]+\}),(\{[^}]+\})\]/, '[$2,$1]') ?? null
  records.push({ ...last, value: swapped })
  const [alone, , insert1, within, insert2] = records
  assert.ok(alone && insert1 && within && insert2)
  const message = (record: Recorded, isTransactional: boolean, prefix: string, content: string): ChangeEvent => {
    const lsn = toLsn(BigInt(parseEnvelope(record).source.lsn))
    const transaction = transactionOf(record)
    const position = { commitLsn: lsn, ordinal: 1 }
    return { op: 'm', position, lsn, transaction, isTransactional, prefix, content: Buffer.from(content) }
  }
  const changes = [
    changeOf(insert1, T, { after: ['1', 'x', '1'] }),
    message(within, true, 'txnal_prefix', 'txnal_content'),
    changeOf(insert2, T, { after: ['2', 'x', '1'] }),
  ]
  const items = [itemOf(message(alone, false, 'ntx', 'now')), transactionItem(changes, last)]
  assertReplay(records, items, 'provide.transaction.metadata=true')
})
