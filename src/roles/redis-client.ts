import { isIP } from 'node:net'

import { createClient, ErrorReply } from '@redis/client'

import { backoffDelayMs } from '../runtime/backoff.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import { type TlsMaterial, tlsReason } from '../runtime/tls.ts'
import { watchHalfOpen } from './redis-half-open.ts'

export type RedisClient = ReturnType<typeof createRedisClient>

/**
 * Reconnects for ever; commands given while there is no connection fail at once, for who waits for a cache had better ask
 * the database. `protocol` 2: replies look the same on every server back to Redis 6.
 */
export function createRedisClient(
  url: string,
  options: {
    readonly name: string
    readonly log: Logger
    /** Of a `rediss://` URL. */
    readonly tls?: TlsMaterial | undefined
  },
) {
  const client = createClient({
    url,
    name: options.name,
    RESP: 2,
    disableOfflineQueue: true,
    socket: {
      ...(url.startsWith('rediss:') ? { tls: true as const, ...options.tls, ...serverName(url) } : {}),
      connectTimeout: 5_000,
      keepAlive: true,
      reconnectStrategy: (retries) => backoffDelayMs(retries + 1, { firstMs: 20, maxMs: 1_000 }),
    },
  })
  let wasConnected = false
  client.on('ready', () => {
    if (wasConnected) options.log.info({ client: options.name }, 'Redis is back')
    wasConnected = true
  })
  let lastError = ''
  client.on('error', (error: unknown) => {
    const message = reasonOf(error)
    if (message !== lastError)
      options.log.warn({ client: options.name, error: message }, 'the connection to Redis failed')
    lastError = message
  })
  watchHalfOpen(client, options.log.child({ client: options.name }))
  return client
}

/** Where several hosts share an address, a proxy goes by it. An address is none. */
function serverName(url: string): { readonly servername?: string } {
  const host = new URL(url).hostname
  return isIP(host.replaceAll(/^\[|\]$/g, '')) === 0 ? { servername: host } : {}
}

/** Of what Redis itself says about a login the first word is enough (WRONGPASS, NOAUTH, NOPERM); the rest may quote what was sent. */
function reasonOf(error: unknown): string {
  if (error instanceof ErrorReply) return `it answers ${error.message.split(' ', 1)[0] ?? ''}`
  return tlsReason(error, 'REDIS_TLS_CA_FILE') ?? (error instanceof Error ? error.message || error.name : 'unknown')
}

const CONNECT_TIMEOUT_MS = 10_000

/**
 * Connects once, or says why not. Its time is bounded as a whole: a server that hangs still has its connections accepted, by
 * its kernel.
 *
 * @throws TrackOpsError REDIS_UNREACHABLE, REDIS_REFUSED (a login that it does not take)
 */
export async function connectRedis(
  client: RedisClient,
  url: string,
  timeoutMs: number = CONNECT_TIMEOUT_MS,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const bound = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new TrackOpsError(
            'REDIS_UNREACHABLE',
            `Redis at ${withoutSecret(url)} did not answer within ${timeoutMs} ms`,
          ),
        ),
      timeoutMs,
    )
  })
  const failed = new Promise<never>((_resolve, reject) => {
    client.once('error', (error: unknown) => {
      const isRefusal = error instanceof ErrorReply
      const what = isRefusal ? 'cannot use' : 'cannot reach'
      reject(
        new TrackOpsError(
          isRefusal ? 'REDIS_REFUSED' : 'REDIS_UNREACHABLE',
          `${what} Redis at ${withoutSecret(url)}: ${reasonOf(error)}`,
          { cause: error },
        ),
      )
    })
  })
  const connecting = client.connect()
  connecting.catch(() => undefined)
  failed.catch(() => undefined)
  try {
    await Promise.race([connecting, failed, bound])
  } catch (error) {
    client.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** A URL for people: its password left out. */
export function withoutSecret(url: string): string {
  try {
    const parsed = new URL(url)
    if (parsed.password) parsed.password = '***'
    if (parsed.searchParams.has('password')) parsed.searchParams.set('password', '***')
    return parsed.href
  } catch {
    return 'an invalid URL'
  }
}
