import type { StreamItem } from '../change/change-event.ts'
import { type Lsn, toLsn } from '../change/lsn.ts'
import type { ChangeDecoder } from '../change/debezium/decode/change-of-envelope.ts'
import { parseEnvelope, type RowEnvelope } from '../change/debezium/decode/envelope.ts'
import type { Position } from '../change/position.ts'
import type { TableRelations } from '../capture/table-relations.ts'
import type { FetchedRecords, KafkaRecord } from '../log/kafka/committed-records.ts'
import type { OwnPartition } from '../log/kafka/partition-group.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { BatchLimits, BatchSource } from './batch.ts'
import { createCommitOrder } from './commit-order.ts'
import { groupChanges, type PartitionChange } from './group-changes.ts'

export interface PartitionSourceDeps {
  readonly partition: Pick<OwnPartition, 'read'>
  readonly decoder: ChangeDecoder
  readonly relations: TableRelations
  /** L4: whatever the record meant must not stay as it was; nothing after it is delivered before this is done. */
  readonly onUnreadable: (record: UnreadableRecord) => Promise<void>
  /**
   * A snapshot's first record here: the slot was made anew, and with it the log begins anew. The LSN is the slot's consistent point. Also
   * nothing after it is delivered before this is done.
   */
  readonly onSnapshot?: (consistentPoint: Lsn) => Promise<void>
}

export interface UnreadableRecord {
  readonly offset: bigint
  /** null if not even that can be read. */
  readonly table: string | null
  readonly error: TrackOpsError
}

/**
 * One partition of a change topic, as a source of what capture gives elsewhere. A position is an offset here; records that say nothing
 * about rows (tombstones, heartbeats, what is not ours) only move it. Transactions that the connector sends again are handed on as
 * pieces, which invalidate and refill: what they show is older than what came before them, and must not become a value (P3).
 */
export function createPartitionSource(deps: PartitionSourceDeps): BatchSource {
  const { partition, decoder, relations } = deps
  let from: bigint | undefined
  let fetched: AsyncIterator<FetchedRecords> | undefined
  let waiting: StreamItem[] = []
  let snapshotSeen: Lsn | null = null
  const order = createCommitOrder()

  async function read(record: KafkaRecord): Promise<PartitionChange | null> {
    let envelope: RowEnvelope | null = null
    try {
      const parsed = parseEnvelope(record)
      if (parsed.kind !== 'row') return null
      envelope = parsed
      const { schema, table, fields } = envelope
      const position: Position = { commitLsn: toLsn(record.offset), ordinal: 1 }
      const rowKey = record.key?.toString('latin1') ?? ''
      const bytes = (record.value?.length ?? 0) + (record.key?.length ?? 0)
      try {
        const relation = await relations.of(schema, table, fields)
        return { change: decoder.changeOf(envelope, relation, position), rowKey, bytes }
      } catch (error) {
        if (!isUnreadable(error)) throw error
        // The table may have changed since it was described.
        const relation = await relations.refresh(schema, table)
        return { change: decoder.changeOf(envelope, relation, position), rowKey, bytes }
      }
    } catch (error) {
      if (!isUnreadable(error)) throw error
      const table = envelope ? `${envelope.schema}.${envelope.table}` : null
      await deps.onUnreadable({ offset: record.offset, table, error })
      return null
    }
  }

  async function itemsOf({ records, nextOffset }: FetchedRecords): Promise<StreamItem[]> {
    const changes: PartitionChange[] = []
    for (const record of records) {
      const change = await read(record)
      if (change) changes.push(change)
    }
    const items: StreamItem[] = []
    for (const item of groupChanges(changes, snapshotSeen)) {
      if (item.kind === 'transaction') {
        items.push(order.comesAgain(item.transaction) ? { ...item, isWhole: false } : item)
        continue
      }
      items.push(item)
      if (item.kind !== 'snapshot' || item.supersedes === undefined) continue
      order.reset()
      snapshotSeen = item.supersedes
      await deps.onSnapshot?.(snapshotSeen)
    }
    items.push({ kind: 'progress', lsn: toLsn(nextOffset) })
    return items
  }

  function take({ changes }: BatchLimits): readonly StreamItem[] {
    let count = 0
    let end = 0
    for (const item of waiting) {
      const next = item.kind === 'progress' ? 0 : item.changes.length
      if (end > 0 && count + next > changes) break
      count += next
      end++
    }
    return waiting.splice(0, end)
  }

  return {
    seek(position) {
      from = position.commitLsn
    },

    async next(limits, signal) {
      if (from === undefined) throw new TypeError('a partition is read from where its reader tells')
      fetched ??= partition.read(from, signal)[Symbol.asyncIterator]()
      while (waiting.length === 0) {
        const next = await fetched.next()
        if (next.done) return undefined
        waiting = await itemsOf(next.value)
      }
      return signal.aborted ? undefined : take(limits)
    },
  }
}

/** A record, or a table, that a second try will not mend; everything else is about the way to it. */
function isUnreadable(error: unknown): error is TrackOpsError {
  return error instanceof TrackOpsError && (error.code === 'DECODE' || error.code === 'CONFIG_INVALID')
}
