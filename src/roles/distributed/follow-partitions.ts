import type { KafkaClients } from '../../log/kafka/kafka-clients.ts'
import { isUnknownTopic, toKafkaError } from '../../log/kafka/kafka-error.ts'
import { backoffDelayMs, pause } from '../../runtime/backoff.ts'
import { describeError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { TrackOpsConfig } from '../define-config.ts'
import { changeTopics, tablesOfViews } from './change-topics.ts'

/** The partitions whose consumers have positions in Redis, for readers who judge it by them (L2). */
export interface FollowedPartitions {
  /** Empty until all topics are there: then nothing can be trusted yet. */
  readonly names: () => readonly string[]
  close(): Promise<void>
}

/** Asks the cluster until it knows every topic of a view. Partitions that are added later count from the next start. */
export function followPartitions(
  deps: { readonly clients: KafkaClients; readonly log: Logger },
  config: TrackOpsConfig,
): FollowedPartitions {
  const topics = changeTopics(config, tablesOfViews(config.views)).map(({ topic }) => topic)
  const stop = new AbortController()
  let names: readonly string[] = []

  async function follow(): Promise<void> {
    const admin = deps.clients.admin()
    try {
      for (let failures = 0; !stop.signal.aborted; failures++) {
        try {
          // The client sorts the list that it is given (2.12.1).
          const metadata = await admin.metadata({ topics: [...topics], forceUpdate: true })
          names = topics.flatMap((topic) =>
            Array.from(
              { length: metadata.topics.get(topic)?.partitionsCount ?? 0 },
              (_, number) => `${topic}-${number}`,
            ),
          )
          return
        } catch (error) {
          const known = toKafkaError(error, 'asking for the partitions of the change topics')
          if (!isUnknownTopic(error)) deps.log.warn({ error: describeError(known) }, 'waiting')
          await pause(backoffDelayMs(failures, { maxMs: 2_000 }), stop.signal)
        }
      }
    } finally {
      await admin.close().catch(() => undefined)
    }
  }

  const following = follow()
  return {
    names: () => names,
    async close() {
      stop.abort()
      await following
    },
  }
}
