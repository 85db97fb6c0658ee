import { Socket } from 'node:net'

import type { Sql } from 'postgres'

import { connectSocket, tlsFiles } from './connect-socket.ts'
import { CLIENT_PARAMETERS, parseDatabaseUrl } from './connection-target.ts'
import { watchHalfOpen } from './half-open.ts'
import { isLoopback } from './loopback.ts'
import { loadMended, poolConnections } from './postgres-driver.ts'

const { default: postgres } = await loadMended(() => import('postgres'))

/**
 * The session settings that fix PostgreSQL's text forms, so that a value reads the same in the stream and in a query
 * (debezium-events.md, appendix A).
 */
export const TEXT_FORM_SETTINGS = {
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
} as const

export interface PostgresPoolOptions {
  readonly applicationName: string
  /** Connections at most. Default 10. */
  readonly maxConnections?: number
  /** How long a statement waits for a lock before it fails with 55P03, which is tried again. Default: as the server has it, for ever. */
  readonly lockTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 10_000

/**
 * Connects when first used, encrypted as the URL's sslmode says. Notices are dropped: they belong to whoever runs SQL by hand.
 *
 * @throws TrackOpsError CONFIG_INVALID: the URL, or a file that it names
 */
export function createPostgresPool(url: string, options: PostgresPoolOptions): Sql {
  const sql = createPool(url, options)
  const stopWatching = watchHalfOpen({
    connections: () => poolConnections(sql),
    workingOf: (pids) => workingOf(url, pids),
  })
  const end = sql.end.bind(sql)
  sql.end = async (how) => {
    stopWatching()
    await end(how)
  }
  return sql
}

/** Over a connection of its own: a pool may have none left that works. */
async function workingOf(url: string, pids: readonly number[]): Promise<ReadonlySet<number>> {
  const sql = createPool(url, { applicationName: 'trackops-half-open', maxConnections: 1 })
  const bound = AbortSignal.timeout(CONNECT_TIMEOUT_MS)
  // It may be half-open from the beginning: what is asked fails when the connection is ended.
  bound.addEventListener('abort', () => void sql.end({ timeout: 0 }))
  try {
    // Who waits for its client has sent what we never got, or waits for what it never got.
    const rows = await sql<{ pid: number }[]>`
      select pid from pg_stat_activity
       where pid = any(${[...pids]}::int[]) and state = 'active' and wait_event_type is distinct from 'Client'`
    return new Set(rows.map(({ pid }) => pid))
  } finally {
    await sql.end({ timeout: 0 })
  }
}

function createPool(url: string, options: PostgresPoolOptions): Sql {
  const sql = postgres(withoutClientParameters(url), {
    ...encryption(url),
    max: options.maxConnections ?? 10,
    onnotice: () => undefined,
    connect_timeout: CONNECT_TIMEOUT_MS / 1000,
    // Seconds. The driver's own pauses grow to 20: too long for a server that is back.
    backoff: (failures: number) => Math.min(1, 0.05 * 2 ** failures),
    connection: {
      application_name: options.applicationName,
      ...TEXT_FORM_SETTINGS,
      ...(options.lockTimeoutMs === undefined ? {} : { lock_timeout: options.lockTimeoutMs }),
    },
  })
  const end = sql.end.bind(sql)
  sql.end = async (how) => {
    await end(how)
    // One that was still being made would keep the process alive until its time is over.
    for (const { socket } of poolConnections(sql)) socket.destroy()
  }
  return sql
}

/**
 * The driver's own TLS takes no meaning of libpq's but `require`, so it is given sockets. A local server that nobody asked to encrypt
 * is spared the question. Several hosts in one URL stay with the driver, as far as it goes.
 */
function encryption(url: string): { readonly socket?: () => Promise<Socket>; readonly ssl?: false } {
  if (hasSeveralHosts(url)) return {}
  const target = parseDatabaseUrl(url)
  const isAsked = new URL(url).searchParams.has('sslmode')
  if (target.sslMode === 'disable' || (!isAsked && isLoopback(target.host))) return { ssl: false }
  // For the error: a file that is missing now is a wrong setting, later it is one that is being renewed.
  tlsFiles(target)
  return {
    ssl: false,
    // Paused behind the server's answer to our question; the driver takes it as running.
    socket: () => connectSocket(target, CONNECT_TIMEOUT_MS).then((socket) => socket.resume(), failedSocket),
  }
}

/** The driver forgets a place in the pool whose socket was never made (3.4.9): it is given one that fails at once. */
function failedSocket(error: Error): Socket {
  const socket = new Socket()
  setImmediate(() => socket.destroy(error))
  return socket
}

/** The driver would pass them on to the server, which does not know them. */
function withoutClientParameters(url: string): string {
  if (hasSeveralHosts(url)) return url
  const parsed = new URL(url)
  for (const name of CLIENT_PARAMETERS) parsed.searchParams.delete(name)
  return parsed.href
}

function hasSeveralHosts(url: string): boolean {
  return !URL.canParse(url) || new URL(url).hostname.includes(',')
}
