import { TrackOpsError } from '../runtime/errors.ts'
import { callRedis, type RedisConnection } from './redis-call.ts'

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
