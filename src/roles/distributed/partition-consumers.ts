import type { ChangeDecoder } from '../../change/debezium/decode/change-of-envelope.ts'
import type { History } from '../../change/change-event.ts'
import { type Lsn, toLsn } from '../../change/lsn.ts'
import type { TableRelations } from '../../capture/table-relations.ts'
import { createPartitionSource, type UnreadableRecord } from '../../consume/partition-source.ts'
import {
  CONSUMER_GROUPS,
  type ConsumerName,
  type ConsumerStatus,
  type StreamConsumer,
  type StreamContext,
} from '../../consume/stream-consumer.ts'
import { createTurns } from '../../runtime/turns.ts'
import type { KafkaClients } from '../../log/kafka/kafka-clients.ts'
import { createPartitionGroup, type OwnPartition } from '../../log/kafka/partition-group.ts'
import { TrackOpsError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'
import { createPasses, type Passes } from '../passes.ts'
import type { SharedHistory } from './shared-history.ts'

export interface PartitionConsumersDeps {
  readonly clients: KafkaClients
  readonly history: SharedHistory
  readonly relations: TableRelations
  readonly decoder: ChangeDecoder
  readonly log: Logger
  /** The consumer of one partition, with what belongs to it alone. */
  readonly open: (partition: OwnPartition, history: History) => Promise<OpenedConsumer>
  readonly onUnreadable: (partition: OwnPartition, record: UnreadableRecord) => Promise<void>
  /** See PartitionSourceDeps. */
  readonly onSnapshot?: (consistentPoint: Lsn, signal: AbortSignal) => Promise<void>
}

export interface OpenedConsumer {
  readonly consumer: StreamConsumer
  /** Its effects commit the offset themselves. Default false. */
  readonly commitsOffsets?: boolean
  close(): Promise<void>
}

/** One consumer group in this process: each partition that it is given has a consumer of its own, with a position of its own. */
export interface PartitionConsumers {
  readonly name: ConsumerName
  run(signal: AbortSignal): Promise<void>
  status(): ConsumerStatus
}

interface Lane {
  readonly partition: OwnPartition
  readonly passes: Passes
  consumer: StreamConsumer | null
}

const COMMIT_EVERY_MS = 500

export function createPartitionConsumers(
  deps: PartitionConsumersDeps,
  options: { readonly name: ConsumerName; readonly topics: readonly string[] },
): PartitionConsumers {
  const { name, topics } = options
  const groupId = CONSUMER_GROUPS[name]
  const group = createPartitionGroup({ clients: deps.clients, log: deps.log }, { groupId, topics })
  const lanes = new Map<string, Lane>()
  const inTurn = createTurns()
  let processedBefore = 0

  async function serve(partition: OwnPartition, signal: AbortSignal): Promise<void> {
    const log = deps.log.child({ partition: partition.name })
    const lane: Lane = { partition, passes: createPasses(log, partition.name), consumer: null }
    lanes.set(partition.name, lane)
    try {
      await lane.passes.run((passSignal, started) => pass(lane, passSignal, started), signal)
    } finally {
      processedBefore += lane.consumer?.status().processedCount ?? 0
      lanes.delete(partition.name)
    }
  }

  async function pass(lane: Lane, signal: AbortSignal, started: () => void): Promise<void> {
    const { partition } = lane
    const { database, visibility } = await deps.history.current()
    const history: History = { ...database, slotEpoch: partition.topicId }
    const opened = await deps.open(partition, history)
    processedBefore += lane.consumer?.status().processedCount ?? 0
    lane.consumer = opened.consumer
    let committed: Lsn | null = null
    const commit = (): void => {
      const durable = opened.consumer.durableLsn()
      if (opened.commitsOffsets || durable === null || durable === committed) return
      committed = durable
      partition.commit(durable)
    }
    const committing = setInterval(commit, COMMIT_EVERY_MS)
    try {
      const context: StreamContext = {
        history,
        visibility,
        visibleBefore: null,
        inTurn,
        ...(await placesOf(partition)),
      }
      const source = createPartitionSource({
        partition,
        decoder: deps.decoder,
        relations: deps.relations,
        onUnreadable: (record) => deps.onUnreadable(partition, record),
        onSnapshot: async (consistentPoint) => await deps.onSnapshot?.(consistentPoint, signal),
      })
      started()
      await opened.consumer.run(source, context, signal)
      commit()
    } catch (error) {
      if (error instanceof TrackOpsError && error.code === 'HISTORY_CHANGED') deps.history.renew()
      throw error
    } finally {
      clearInterval(committing)
      await opened.close()
    }
  }

  return {
    name,
    run: (signal) => group.run(serve, signal),

    status() {
      const membership = group.status()
      const all = [...lanes.values()]
      const reason = membership.reason ?? all.map(reasonOf).find((one) => one !== null) ?? null
      const isRunning = membership.state === 'member' && all.every(isFlowing)
      const isStopped = membership.state === 'stopped'
      return {
        name,
        group: groupId,
        appliedPosition: null,
        processedCount: all.reduce(
          (sum, { consumer }) => sum + (consumer?.status().processedCount ?? 0),
          processedBefore,
        ),
        state: isStopped ? 'stopped' : isRunning ? 'running' : 'waiting',
        reason,
        partitions: all.length,
        lagMessages: lagOf(all),
      }
    },
  }
}

/** Where the partition begins and ends, and where to begin in it if no position can be continued. */
async function placesOf(partition: OwnPartition): Promise<Pick<StreamContext, 'resumeLsn' | 'endLsn' | 'beginLsn'>> {
  const [{ start, end }, committed] = await Promise.all([partition.bounds(), partition.committed()])
  const begin = committed !== null && committed >= start && committed <= end ? committed : start
  return { resumeLsn: toLsn(start), endLsn: toLsn(end), beginLsn: toLsn(begin) }
}

function isFlowing({ passes, consumer }: Lane): boolean {
  return passes.status().state === 'running' && consumer?.status().state === 'running'
}

function reasonOf({ passes, consumer }: Lane): string | null {
  return passes.status().reason ?? consumer?.status().reason ?? null
}

function lagOf(lanes: readonly Lane[]): number | null {
  let lag = 0n
  for (const { partition, consumer } of lanes) {
    const applied = consumer?.status().appliedPosition
    const end = partition.endOffset()
    if (!applied || end === null) return null
    if (end > applied.commitLsn) lag += end - applied.commitLsn
  }
  return Number(lag)
}
