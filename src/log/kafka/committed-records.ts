import type { Consumer, RecordsBatch } from '@platformatic/kafka'

/** The package does not export the types of its answers by name. */
export type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>
export type FetchResponsePartition = FetchResponse['responses'][number]['partitions'][number]

/** A record as Kafka holds it. */
export interface KafkaRecord {
  readonly offset: bigint
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: ReadonlyMap<string, string>
}

/** What one fetch brought of one partition. */
export interface FetchedRecords {
  readonly records: readonly KafkaRecord[]
  /** Where the next fetch continues: beyond control records and aborted ones, too. */
  readonly nextOffset: bigint
  /** Up to here a reader of committed records can read at the moment. */
  readonly endOffset: bigint
  readonly bytes: number
}

/** Of a batch's attributes: https://kafka.apache.org/documentation/#recordbatch */
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const ABORT_MARKER = 0

/**
 * Leaves out what aborted transactions wrote. With the isolation level `read_committed` the broker only holds back what is
 * undecided, and names the transactions that were aborted; leaving their records out is the reader's part
 * (KIP-98, "Consumer"). The stream of `@platformatic/kafka` 2.12.1 does not do it.
 */
export function committedRecords(partition: FetchResponsePartition, from: bigint): FetchedRecords {
  const records: KafkaRecord[] = []
  const aborted = (partition.abortedTransactions ?? []).toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  const open = new Set<bigint>()
  let known = 0
  let nextOffset = from
  let bytes = 0
  for (const batch of partition.records ?? []) {
    const lastOffset = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    if (lastOffset < from) continue
    nextOffset = lastOffset + 1n
    bytes += batch.length
    for (let next = aborted[known]; next && next.firstOffset <= lastOffset; next = aborted[++known])
      open.add(next.producerId)
    if (batch.attributes & CONTROL) {
      if (isAbortMarker(batch)) open.delete(batch.producerId)
      continue
    }
    if (batch.attributes & TRANSACTIONAL && open.has(batch.producerId)) continue
    for (const record of batch.records) {
      const offset = batch.firstOffset + BigInt(record.offsetDelta)
      if (offset < from) continue
      records.push({ offset, key: record.key, value: record.value, headers: headersOf(record.headers) })
    }
  }
  return { records, nextOffset, endOffset: partition.lastStableOffset, bytes }
}

/** The key of a control record: version and type, two bytes each. */
function isAbortMarker(batch: RecordsBatch): boolean {
  const key = batch.records[0]?.key
  return key !== undefined && key !== null && key.length >= 4 && key.readInt16BE(2) === ABORT_MARKER
}

const NO_HEADERS: ReadonlyMap<string, string> = new Map()

function headersOf(pairs: readonly (readonly [Buffer | null, Buffer | null])[]): ReadonlyMap<string, string> {
  if (pairs.length === 0) return NO_HEADERS
  return new Map(pairs.map(([name, value]) => [name?.toString('utf8') ?? '', value?.toString('utf8') ?? '']))
}
