import type { PipelineStatus } from '../pipeline.ts'
import type { PartitionConsumers } from './partition-consumers.ts'

/** Of all groups in this process, as the status of one stream. Pure but for asking them. */
export function topicStreamsStatus(consumers: readonly PartitionConsumers[]): PipelineStatus {
  const statuses = consumers.map((consumer) => consumer.status())
  const isRunning = statuses.every(({ state }) => state === 'running')
  return {
    state: isRunning ? 'running' : statuses.some(({ state }) => state === 'stopped') ? 'stopped' : 'waiting',
    reason: statuses.find(({ reason }) => reason !== null)?.reason ?? null,
    passes: 0,
    isFlowing: isRunning,
    capture: null,
    consumers: statuses,
  }
}
