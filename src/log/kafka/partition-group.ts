import type { Consumer, Message, Producer } from '@platformatic/kafka'

import { backoffDelayMs, pause } from '../../runtime/backoff.ts'
import { describeError, retryOf, TrackOpsError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { FetchedRecords } from './committed-records.ts'
import type { KafkaClients } from './kafka-clients.ts'
import { isUnknownTopic, toKafkaError } from './kafka-error.ts'
import { createOffsetCommits, type OffsetCommits } from './offset-commits.ts'
import { createPartitionFetch, type PartitionAddress, type PartitionFetch } from './partition-fetch.ts'

/** A partition that the group has given to this process. */
export interface OwnPartition extends PartitionAddress {
  /** `trackops_orders.public.orders-3` */
  readonly name: string
  /** A topic that is made anew under the same name has another. */
  readonly topicId: string
  /** The first offset that is still there, and the one that the next record will have. */
  bounds(): Promise<{ readonly start: bigint; readonly end: bigint }>
  /** What the group has committed; null: nothing. */
  committed(): Promise<bigint | null>
  /** From `from` on, committed records only. Pull is back-pressure. @throws TrackOpsError OFFSET_GONE */
  read(from: bigint, signal: AbortSignal): AsyncIterable<FetchedRecords>
  /** Where it ended when it was last asked for records; null before. */
  endOffset(): bigint | null
  /** Everything before `offset` has its effects; told to the group soon. */
  commit(offset: bigint): void
  /** Commits the offset in a producer's transaction, if this process is still the member that it was. */
  commitWithin(transaction: Transaction, offset: bigint): Promise<void>
}

/** The package does not export it by name. */
export type Transaction = Awaited<ReturnType<Producer['beginTransaction']>>

export interface PartitionGroupOptions {
  readonly groupId: string
  readonly topics: readonly string[]
}

export interface PartitionGroup {
  /**
   * Joins the group, and serves each partition that it is given until it is taken away: then the signal aborts, and `serve` is to end
   * soon. The next owner may begin before that: effects need a fence of their own. Whatever breaks the membership
   * begins it anew.
   *
   * @throws what `serve` throws and no retry can mend
   */
  run(serve: (partition: OwnPartition, signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void>
  status(): PartitionGroupStatus
}

export interface PartitionGroupStatus {
  readonly groupId: string
  readonly state: 'joining' | 'member' | 'waiting' | 'stopped'
  /** Why it waits, for people. */
  readonly reason: string | null
  /** Names of the partitions that are served. */
  readonly partitions: readonly string[]
}

/** A member that says nothing for so long has its partitions given to others. */
const SESSION_TIMEOUT_MS = 10_000
const HEARTBEAT_MS = 1_000
const REBALANCE_TIMEOUT_MS = 15_000

export function createPartitionGroup(
  deps: { readonly clients: KafkaClients; readonly log: Logger },
  options: PartitionGroupOptions,
): PartitionGroup {
  const { clients } = deps
  const { groupId } = options
  const log = deps.log.child({ group: groupId })
  let state: PartitionGroupStatus['state'] = 'stopped'
  let reason: string | null = null
  let serving: readonly string[] = []

  async function pass(
    serve: (partition: OwnPartition, signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const consumer = clients.consumer(groupId)
    const stop = new AbortController()
    const either = AbortSignal.any([signal, stop.signal])
    let failed: { readonly error: unknown } | undefined
    const fail = (error: unknown): void => {
      if (!either.aborted) failed ??= { error }
      stop.abort()
    }
    const topicIds = await topicIdsOf(consumer, options.topics).catch(async (error: unknown) => {
      await closeQuietly(consumer)
      throw error
    })
    const fetch = createPartitionFetch(consumer)
    const commits = createOffsetCommits(consumer, log)
    const served = new Map<string, { readonly leave: AbortController; readonly ended: Promise<void> }>()

    function begin(address: PartitionAddress, name: string): void {
      const leave = new AbortController()
      const partition = ownPartition({ consumer, fetch, commits }, address, topicIds.get(address.topic) ?? '')
      const ended = serve(partition, AbortSignal.any([either, leave.signal]))
        .catch(fail)
        .then(() => {
          served.delete(name)
          // It was given back while it was still being left.
          if (leave.signal.aborted) reconcile()
        })
      served.set(name, { leave, ended })
    }

    function reconcile(): void {
      if (either.aborted) return
      const mine = new Map<string, PartitionAddress>()
      for (const { topic, partitions } of consumer.assignments ?? []) {
        for (const partition of partitions) mine.set(`${topic}-${partition}`, { topic, partition })
      }
      for (const [name, { leave }] of served) if (!mine.has(name)) leave.abort()
      for (const [name, address] of mine) if (!served.has(name)) begin(address, name)
      serving = [...mine.keys()]
      log.info({ partitions: serving.length }, 'partitions assigned')
    }

    consumer.topics.trackAll(...options.topics)
    consumer.on('consumer:group:join', reconcile)
    consumer.on('consumer:group:rebalance', reconcile)
    consumer.on('error', fail)
    consumer.on('consumer:heartbeat:stalled', () =>
      fail(new TrackOpsError('KAFKA_UNREACHABLE', `the coordinator of ${groupId} does not answer heartbeats`)),
    )
    try {
      await consumer.joinGroup({}).catch((error: unknown) => {
        throw toKafkaError(error, `joining the group ${groupId}`)
      })
      state = 'member'
      reason = null
      await fetch.run(either).catch(fail)
      await Promise.all(Array.from(served.values(), ({ ended }) => ended))
      await commits.flush()
      if (failed) throw failed.error
    } finally {
      stop.abort()
      await Promise.all(Array.from(served.values(), ({ ended }) => ended))
      commits.close()
      serving = []
      await closeQuietly(consumer)
    }
  }

  return {
    async run(serve, signal) {
      for (let failures = 0; !signal.aborted;) {
        state = 'joining'
        const startedAtMs = performance.now()
        try {
          await pass(serve, signal)
        } catch (error) {
          if (signal.aborted) break
          if (retryOf(error) === 'never') {
            state = 'stopped'
            reason = describeError(error)
            throw error
          }
          failures = performance.now() - startedAtMs > 30_000 ? 0 : failures + 1
          state = 'waiting'
          reason = describeError(error)
          log.warn({ reason }, 'the membership begins anew')
          await pause(backoffDelayMs(failures, { maxMs: 5_000 }), signal)
        }
      }
      state = 'stopped'
    },
    status: () => ({ groupId, state, reason, partitions: serving }),
  }
}

/** Options of a consumer whose group moves only the partitions that have to move (KIP-429). */
export const GROUP_OPTIONS = {
  autocommit: false,
  sessionTimeout: SESSION_TIMEOUT_MS,
  heartbeatInterval: HEARTBEAT_MS,
  rebalanceTimeout: REBALANCE_TIMEOUT_MS,
  protocols: [{ name: 'cooperative-sticky', version: 1 }],
} satisfies {
  autocommit: boolean
  sessionTimeout: number
  heartbeatInterval: number
  rebalanceTimeout: number
  protocols: { name: string; version: number }[]
}

/** @throws TrackOpsError TOPIC_MISSING naming the first that is not there: a member without topics would idle silently */
async function topicIdsOf(consumer: Consumer, topics: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>()
  for (const topic of topics) {
    try {
      const metadata = await consumer.metadata({ topics: [topic], forceUpdate: true })
      const id = metadata.topics.get(topic)?.id
      if (id !== undefined) ids.set(topic, id)
    } catch (error) {
      if (isUnknownTopic(error)) throw new TrackOpsError('TOPIC_MISSING', `there is no topic ${topic} yet`)
      throw toKafkaError(error, `asking for the topic ${topic}`)
    }
  }
  return ids
}

function ownPartition(
  from: { readonly consumer: Consumer; readonly fetch: PartitionFetch; readonly commits: OffsetCommits },
  address: PartitionAddress,
  topicId: string,
): OwnPartition {
  const { consumer, fetch, commits } = from
  const { topic, partition } = address
  const name = `${topic}-${partition}`
  const offsetAt = async (timestamp: bigint): Promise<bigint> => {
    const offsets = await consumer.listOffsets({ topics: [topic], partitions: { [topic]: [partition] }, timestamp })
    return offsets.get(topic)?.[partition] ?? 0n
  }
  const asking = (error: unknown): never => {
    throw toKafkaError(error, `asking for offsets of ${name}`)
  }
  return {
    ...address,
    name,
    topicId,
    bounds: async () => ({ start: await offsetAt(EARLIEST).catch(asking), end: await offsetAt(LATEST).catch(asking) }),
    async committed() {
      const offsets = await consumer
        .listCommittedOffsets({ topics: [{ topic, partitions: [partition] }] })
        .catch(asking)
      const offset = offsets.get(topic)?.[partition] ?? -1n
      return offset < 0n ? null : offset
    },
    read: (offset, signal) => fetch.read(address, offset, signal),
    endOffset: () => fetch.endOffset(address),
    commit: (offset) => commits.add(address, offset),
    async commitWithin(transaction, offset) {
      await commits.withdraw(address)
      await transaction.addConsumer(consumer)
      const { generationId, memberId, coordinatorId } = consumer
      // Of a message the client reads its place and its member, and commits the offset behind it.
      const metadata = { consumer: { groupId: consumer.groupId, generationId, memberId, coordinatorId } }
      await transaction.addOffset({ topic, partition, offset: offset - 1n, metadata } as unknown as Message)
    },
  }
}

/** ListOffsets' own names for both ends. */
const EARLIEST = -2n
const LATEST = -1n

async function closeQuietly(consumer: Consumer): Promise<void> {
  await consumer.close(true).catch(() => undefined)
}
