import type { ChangeEvent, Transaction } from '../change-event.ts'
import type { Lsn } from '../lsn.ts'
import { jsonString } from './json-text.ts'
import { millisOf } from './source.ts'

export interface KeyAndValue {
  readonly key: string
  readonly value: string
}

/**
 * `provide.transaction.metadata`: counts the events of one transaction over all its pieces. An id is the transaction's
 * xid and the record's own LSN, so that only its first part joins the records of one transaction (debezium-events.md 1.6).
 */
export interface TransactionMetadata {
  begin(firstLsn: Lsn): KeyAndValue
  /** The `transaction` block of the next event. */
  block(event: ChangeEvent, collection: string): string
  end(endLsn: Lsn): KeyAndValue
}

export function createTransactionMetadata(transaction: Transaction): TransactionMetadata {
  const counts = new Map<string, number>()
  let total = 0
  const idAt = (lsn: Lsn): string => `"${transaction.xid}:${lsn}"`

  const record = (status: 'BEGIN' | 'END', lsn: Lsn, eventCount: string, collections: string): KeyAndValue => ({
    key: `{"id":${idAt(lsn)}}`,
    value:
      `{"status":"${status}","id":${idAt(lsn)},"event_count":${eventCount},"data_collections":${collections}` +
      `,"ts_ms":${millisOf(transaction.commitTimeMicros)}}`,
  })

  return {
    begin: (firstLsn) => record('BEGIN', firstLsn, 'null', 'null'),
    block(event, collection) {
      const count = (counts.get(collection) ?? 0) + 1
      counts.set(collection, count)
      total++
      return `{"id":${idAt(event.lsn)},"total_order":${total},"data_collection_order":${count}}`
    },
    end(endLsn) {
      const collections = [...counts].map(([name, count]) => {
        return `{"data_collection":${jsonString(name)},"event_count":${count}}`
      })
      return record('END', endLsn, String(total), `[${collections.join(',')}]`)
    },
  }
}
