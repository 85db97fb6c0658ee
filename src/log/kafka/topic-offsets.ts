import type { Admin } from '@platformatic/kafka'

import { toKafkaError } from './kafka-error.ts'

/** `<topic>-<partition>` to an offset. */
export type PartitionOffsets = ReadonlyMap<string, bigint>

const LATEST = -1n

/** Where each partition of these topics ends, for a reader of committed records. @throws TrackOpsError KAFKA_... */
export async function endOffsets(admin: Admin, topics: readonly string[]): Promise<PartitionOffsets> {
  try {
    // The client sorts the list that it is given (2.12.1).
    const metadata = await admin.metadata({ topics: [...topics] })
    const asked = topics.map((name) => ({
      name,
      partitions: Array.from({ length: metadata.topics.get(name)?.partitionsCount ?? 0 }, (_, partitionIndex) => ({
        partitionIndex,
        timestamp: LATEST,
      })),
    }))
    const listed = await admin.listOffsets({ topics: asked })
    return new Map(
      listed.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, offset }): [string, bigint] => [`${name}-${partitionIndex}`, offset]),
      ),
    )
  } catch (error) {
    throw toKafkaError(error, 'asking where topics end')
  }
}

/** What a group has committed; partitions of which it has nothing are left out. @throws TrackOpsError KAFKA_... */
export async function committedOffsets(admin: Admin, groupId: string): Promise<PartitionOffsets> {
  try {
    const [group] = await admin.listConsumerGroupOffsets({ groups: [groupId] })
    return new Map(
      (group?.topics ?? []).flatMap(({ name, partitions }) =>
        partitions
          .filter(({ committedOffset }) => committedOffset >= 0n)
          .map(({ partitionIndex, committedOffset }): [string, bigint] => [
            `${name}-${partitionIndex}`,
            committedOffset,
          ]),
      ),
    )
  } catch (error) {
    throw toKafkaError(error, `asking what ${groupId} has committed`)
  }
}
