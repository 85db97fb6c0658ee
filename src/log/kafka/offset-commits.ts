import type { Consumer } from '@platformatic/kafka'

import { describeError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'
import { toKafkaError } from './kafka-error.ts'
import type { PartitionAddress } from './partition-fetch.ts'

/**
 * Offsets on their way to the group, a few times a second: they say to people and tools how far it is, and where a consumer that
 * has no position of its own begins. One that is lost comes with the next.
 */
export interface OffsetCommits {
  add(address: PartitionAddress, offset: bigint): void
  /** Nothing that was added for this partition is on its way any more: what comes next must not be taken back by it. */
  withdraw(address: PartitionAddress): Promise<void>
  /** Sends what waits, now. Never rejects. */
  flush(): Promise<void>
  close(): void
}

const EVERY_MS = 500

export function createOffsetCommits(consumer: Consumer, log: Logger): OffsetCommits {
  let waiting = new Map<string, PartitionAddress & { readonly offset: bigint }>()
  let sending: Promise<void> | undefined

  async function send(): Promise<void> {
    const offsets = [...waiting.values()].map((one) => ({ ...one, leaderEpoch: -1 }))
    waiting = new Map()
    if (offsets.length === 0) return
    try {
      await consumer.commit({ offsets })
    } catch (error) {
      log.warn({ error: describeError(toKafkaError(error, 'committing offsets')) }, 'offsets were not committed')
    }
  }

  const flush = (): Promise<void> => {
    sending ??= send().finally(() => (sending = undefined))
    return sending
  }
  const timer = setInterval(() => void flush(), EVERY_MS)

  return {
    add: ({ topic, partition }, offset) => void waiting.set(`${topic}-${partition}`, { topic, partition, offset }),
    async withdraw({ topic, partition }) {
      waiting.delete(`${topic}-${partition}`)
      await sending
    },
    async flush() {
      await sending
      await flush()
    },
    close: () => clearInterval(timer),
  }
}
