import { TrackOpsError } from '../runtime/errors.ts'
import { globalKeys } from './global-keys.ts'
import { callRedis, type RedisConnection } from './redis-call.ts'
import type { Look } from './trust.ts'

/** What readers judge Redis by. */
export function createLook(options: {
  readonly redis: RedisConnection
  readonly keyPrefix: string
  /** As in `CacheReaderOptions`. */
  readonly partitions: () => readonly (string | undefined)[]
  readonly timeoutMs: number
}): () => Promise<Look> {
  const { redis, keyPrefix, partitions, timeoutMs } = options

  async function readPositions(): Promise<readonly (string | null)[]> {
    const names = partitions().flatMap((partition) => {
      const { invalidator, warmer } = globalKeys(keyPrefix, partition)
      return [invalidator, warmer]
    })
    if (names.length === 0) return []
    const reply = await callRedis(redis, ['MGET', ...names], timeoutMs)
    return Array.isArray(reply) ? reply.map((text) => (typeof text === 'string' ? text : null)) : []
  }

  return async () => {
    const [positions, instance] = await Promise.all([readPositions(), readInstance(redis, timeoutMs)])
    return { positions, instance }
  }
}

/**
 * Says which Redis answers: another text after a restart, after a failover to a replica, and after its data came from another
 * primary. null if this user may not ask.
 *
 * @throws TrackOpsError REDIS_UNREACHABLE
 */
export async function readInstance(redis: RedisConnection, timeoutMs: number): Promise<string | null> {
  try {
    const [server, replication] = await Promise.all([
      callRedis(redis, ['INFO', 'server'], timeoutMs),
      callRedis(redis, ['INFO', 'replication'], timeoutMs),
    ])
    return `${infoOf(server, 'run_id')}/${infoOf(replication, 'master_replid')}`
  } catch (error) {
    if (error instanceof TrackOpsError && error.code === 'REDIS_REFUSED') return null
    throw error
  }
}

/** A field of `INFO`; '' if it is not there. */
export function infoOf(reply: unknown, name: string): string {
  return new RegExp(`^${name}:(.*)$`, 'm').exec(String(reply))?.[1]?.trim() ?? ''
}
