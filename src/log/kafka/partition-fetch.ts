import type { Consumer } from '@platformatic/kafka'

import { pause } from '../../runtime/backoff.ts'
import { TrackOpsError } from '../../runtime/errors.ts'
import { committedRecords, type FetchedRecords, type FetchResponse } from './committed-records.ts'
import { toKafkaError } from './kafka-error.ts'

/** Bounds of what was fetched and not yet taken: a slow reader stops being fetched for, the others go on. */
export interface FetchLimits {
  /** Default 1 MiB. A single record that is larger is delivered all the same. */
  readonly partitionBytes: number
  /** Over all partitions. Default 32 MiB. */
  readonly totalBytes: number
  /** How long a broker without news holds the question. Default 200 ms: so long a partition that was full may wait. */
  readonly maxWaitMs: number
}

const LIMITS: FetchLimits = { partitionBytes: 1024 * 1024, totalBytes: 32 * 1024 * 1024, maxWaitMs: 200 }
/** Leaders move: ask the cluster again, a moment later. */
const STALE_METADATA_PAUSE_MS = 100
const OFFSET_OUT_OF_RANGE = 1
/** NOT_LEADER_OR_FOLLOWER, LEADER_NOT_AVAILABLE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, OFFSET_NOT_AVAILABLE, UNKNOWN_TOPIC_ID... */
const STALE_METADATA = new Set([3, 5, 6, 9, 13, 74, 75, 76, 78, 100])

export interface PartitionAddress {
  readonly topic: string
  readonly partition: number
}

/**
 * Reads partitions, each from where it is told to: positions are the truth of whoever stores effects (PROTOCOL.md, L2), not of
 * the group. One question a broker is on its way at a time, for all partitions that have room.
 */
export interface PartitionFetch {
  /** One reader a partition. @throws TrackOpsError OFFSET_GONE if the log no longer reaches back to where it stands */
  read(address: PartitionAddress, from: bigint, signal: AbortSignal): AsyncIterable<FetchedRecords>
  /** Up to where committed records went when the partition was last asked for; null before. */
  endOffset(address: PartitionAddress): bigint | null
  /** Until the signal aborts. @throws what the cluster answers after the client has tried again */
  run(signal: AbortSignal): Promise<void>
}

interface Cursor extends PartitionAddress {
  offset: bigint
  endOffset: bigint | null
  readonly waiting: FetchedRecords[]
  bytes: number
  failed: unknown
  arrived: (() => void) | undefined
}

export function createPartitionFetch(consumer: Consumer, limits: Partial<FetchLimits> = {}): PartitionFetch {
  const { partitionBytes, totalBytes, maxWaitMs } = { ...LIMITS, ...limits }
  const cursors = new Set<Cursor>()
  const asking = new Set<number>()
  let kick: () => void = () => undefined

  const hasRoom = (cursor: Cursor): boolean => cursor.bytes < partitionBytes && cursor.failed === undefined

  /** Those that may be fetched now, by the broker that leads them. */
  async function byLeader(): Promise<{
    readonly leaders: Map<number, Cursor[]>
    readonly topicIds: Map<string, string>
  }> {
    let total = 0
    for (const cursor of cursors) total += cursor.bytes
    const wanted = total < totalBytes ? [...cursors].filter(hasRoom) : []
    const leaders = new Map<number, Cursor[]>()
    const topicIds = new Map<string, string>()
    if (wanted.length === 0) return { leaders, topicIds }
    const metadata = await consumer.metadata({ topics: consumer.topics.current })
    for (const cursor of wanted) {
      const topic = metadata.topics.get(cursor.topic)
      const leader = topic?.partitions[cursor.partition]?.leader
      if (!topic || leader === undefined || leader < 0 || asking.has(leader)) continue
      topicIds.set(cursor.topic, topic.id)
      const led = leaders.get(leader)
      if (led) led.push(cursor)
      else leaders.set(leader, [cursor])
    }
    return { leaders, topicIds }
  }

  async function ask(node: number, led: readonly Cursor[], topicIds: ReadonlyMap<string, string>): Promise<void> {
    const asked = new Map(
      led.map((cursor) => [`${topicIds.get(cursor.topic)}/${cursor.partition}`, { cursor, from: cursor.offset }]),
    )
    const topics = led.map(({ topic, partition, offset }) => ({
      topicId: topicIds.get(topic) ?? '',
      partitions: [
        {
          partition,
          fetchOffset: offset,
          partitionMaxBytes: partitionBytes,
          currentLeaderEpoch: -1,
          lastFetchedEpoch: -1,
        },
      ],
    }))
    let response: FetchResponse
    try {
      response = await consumer.fetch({ node, topics, maxWaitTime: maxWaitMs, minBytes: 1, maxBytes: totalBytes })
    } catch (error) {
      const partly = responseOf(error)
      if (!partly) throw toKafkaError(error, 'reading from Kafka')
      response = partly
    }
    let isStale = false
    for (const { topicId, partitions } of response.responses) {
      for (const partition of partitions) {
        const { cursor, from } = asked.get(`${topicId}/${partition.partitionIndex}`) ?? {}
        if (!cursor || from === undefined || cursor.offset !== from) continue
        if (partition.errorCode === 0) deliver(cursor, committedRecords(partition, from))
        else if (partition.errorCode === OFFSET_OUT_OF_RANGE) fail(cursor, offsetGone(cursor, partition.logStartOffset))
        else if (STALE_METADATA.has(partition.errorCode)) isStale = true
        else
          throw new TrackOpsError(
            'KAFKA_REFUSED',
            `Kafka answers a fetch of ${cursor.topic}-${cursor.partition} with error ${partition.errorCode}`,
          )
      }
    }
    if (isStale) {
      consumer.clearMetadata()
      await pause(STALE_METADATA_PAUSE_MS)
    }
  }

  function deliver(cursor: Cursor, fetched: FetchedRecords): void {
    cursor.endOffset = fetched.endOffset
    if (fetched.nextOffset === cursor.offset) return
    cursor.offset = fetched.nextOffset
    cursor.bytes += fetched.bytes
    cursor.waiting.push(fetched)
    cursor.arrived?.()
  }

  function fail(cursor: Cursor, error: unknown): void {
    cursor.failed = error
    cursor.arrived?.()
  }

  return {
    async *read(address, from, signal) {
      const cursor: Cursor = {
        ...address,
        offset: from,
        endOffset: null,
        waiting: [],
        bytes: 0,
        failed: undefined,
        arrived: undefined,
      }
      cursors.add(cursor)
      const wake = (): void => cursor.arrived?.()
      signal.addEventListener('abort', wake, { once: true })
      kick()
      try {
        while (!signal.aborted) {
          const next = cursor.waiting.shift()
          if (next) {
            cursor.bytes -= next.bytes
            kick()
            yield next
          } else if (cursor.failed !== undefined) throw cursor.failed
          else {
            await new Promise<void>((resolve) => (cursor.arrived = resolve))
            cursor.arrived = undefined
          }
        }
      } finally {
        signal.removeEventListener('abort', wake)
        cursors.delete(cursor)
      }
    },

    endOffset({ topic, partition }) {
      for (const cursor of cursors)
        if (cursor.topic === topic && cursor.partition === partition) return cursor.endOffset
      return null
    },

    async run(signal) {
      let failed: { readonly error: unknown } | undefined
      const wake = (): void => kick()
      signal.addEventListener('abort', wake, { once: true })
      const underWay = new Set<Promise<void>>()
      try {
        while (!signal.aborted && !failed) {
          const kicked = new Promise<void>((resolve) => (kick = resolve))
          const { leaders, topicIds } = await byLeader().catch((error: unknown) => {
            throw toKafkaError(error, 'asking Kafka who leads the partitions')
          })
          for (const [node, led] of leaders) {
            asking.add(node)
            const asked: Promise<void> = ask(node, led, topicIds)
              .catch((error: unknown) => (failed ??= { error }))
              .then(() => {
                asking.delete(node)
                underWay.delete(asked)
                kick()
              })
            underWay.add(asked)
          }
          await kicked
        }
        if (failed) throw failed.error
      } finally {
        signal.removeEventListener('abort', wake)
        await Promise.all(underWay)
      }
    },
  }
}

/** Where some partitions of an answer are in error, the client throws; the answer is with its error. */
function responseOf(error: unknown): FetchResponse | undefined {
  const response = (error as { response?: FetchResponse } | null)?.response
  return response && Array.isArray(response.responses) ? response : undefined
}

function offsetGone({ topic, partition, offset }: Cursor, logStart: bigint): TrackOpsError {
  return new TrackOpsError('OFFSET_GONE', `${topic}-${partition} no longer has offset ${offset}`, {
    details: { topic, partition, offset: offset.toString(), logStartOffset: logStart.toString() },
  })
}
