import { ErrorReply } from '@redis/client'

import { TrackOpsError } from '../runtime/errors.ts'

/** What this folder needs of a `createClient` instance of `@redis/client`. */
export interface RedisConnection {
  readonly isReady: boolean
  sendCommand(args: readonly string[]): Promise<unknown>
  on(event: 'ready' | 'error' | 'end' | 'reconnecting', listener: () => void): unknown
  off(event: 'ready' | 'error' | 'end' | 'reconnecting', listener: () => void): unknown
}

/**
 * One command, its reply checked, its time bounded: a client that queues while it is offline would wait for ever. A call that
 * ran into the bound may still happen later; whatever must not happen late carries its own condition (positions, leases).
 *
 * @throws TrackOpsError REDIS_REFUSED (Redis said no), REDIS_UNREACHABLE (no answer)
 */
export async function callRedis(redis: RedisConnection, args: readonly string[], timeoutMs: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const bound = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new TrackOpsError('REDIS_UNREACHABLE', `Redis did not answer ${args[0]} within ${timeoutMs} ms`)),
      timeoutMs,
    )
  })
  try {
    return await Promise.race([redis.sendCommand(args), bound])
  } catch (error) {
    throw asRedisError(error, args[0] ?? '')
  } finally {
    clearTimeout(timer)
  }
}

export function isErrorReply(error: unknown, prefix: string): boolean {
  const cause = error instanceof TrackOpsError ? error.cause : error
  return cause instanceof ErrorReply && cause.message.startsWith(prefix)
}

function asRedisError(error: unknown, command: string): unknown {
  if (error instanceof TrackOpsError) return error
  if (error instanceof ErrorReply) {
    // The first word (OOM, READONLY, LOADING, NOSCRIPT, WRONGTYPE) says what; the rest may quote arguments.
    const word = error.message.split(' ', 1)[0] ?? ''
    return new TrackOpsError('REDIS_REFUSED', `Redis refused ${command}: ${word}`, {
      details: { reply: word },
      cause: error,
    })
  }
  return new TrackOpsError('REDIS_UNREACHABLE', `the connection to Redis failed during ${command}`, { cause: error })
}
