import { globalKeys } from '../../cache/global-keys.ts'
import { callRedis, type RedisConnection } from '../../cache/redis-call.ts'
import { positionOf } from '../../consume/stored-position.ts'
import type { PartitionOffsets } from '../../log/kafka/topic-offsets.ts'

const TIMEOUT_MS = 10_000

/** What invalidator and warmer have stored in Redis of these partitions, as offsets. */
export async function cachePositions(
  redis: RedisConnection,
  keyPrefix: string,
  partitions: readonly string[],
): Promise<readonly [invalidator: PartitionOffsets, warmer: PartitionOffsets]> {
  const keys = partitions.map((partition) => globalKeys(keyPrefix, partition))
  const names = keys.flatMap(({ invalidator, warmer }) => [invalidator, warmer])
  const reply = names.length === 0 ? [] : await callRedis(redis, ['MGET', ...names], TIMEOUT_MS)
  const texts = Array.isArray(reply) ? (reply as unknown[]) : []
  const of = (offset: 0 | 1): PartitionOffsets =>
    new Map(
      partitions.flatMap((partition, index): [string, bigint][] => {
        const text = texts[2 * index + offset]
        const reached = typeof text === 'string' ? offsetOf(text) : undefined
        return reached === undefined ? [] : [[partition, reached]]
      }),
    )
  return [of(0), of(1)]
}

/** undefined for what a stranger wrote there: the consumer mends it. */
function offsetOf(text: string): bigint | undefined {
  try {
    return positionOf(text).commitLsn
  } catch {
    return undefined
  }
}
