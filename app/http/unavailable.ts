import { TrackOpsError } from '../../src/index.ts'

/**
 * Is this the failure of something that comes back by itself? Then the client hears 503 and when to try again; anything
 * else is a fault of ours, 500. SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const CONNECTION_CODES: ReadonlySet<string> = new Set([
  // the postgres package
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  // sockets and names
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
])

/**
 * 08 connection exception, 53 insufficient resources (53300: too many connections), 57P01 to 57P03 shutdown, crash, starting up;
 * 57014 statement timeout, 55P03 lock timeout, 40001 and 40P01 lost a race, 25006 read-only (a standby after a
 * failover); 28 and 3D000: the server is there, but not ours yet.
 */
const SQL_STATES = /^(08...|53...|57P0[123]|57014|55P03|40001|40P01|25006|28...|3D000)$/

/** How far causes are followed; an error that causes itself must not hang an answer. */
const MAX_DEPTH = 8

export function isUnavailable(error: unknown, depth = 0): boolean {
  if (depth > MAX_DEPTH || !(error instanceof Error)) return false
  if (error instanceof TrackOpsError) return error.retry !== 'never'
  if ('code' in error && typeof error.code === 'string') {
    if (CONNECTION_CODES.has(error.code) || SQL_STATES.test(error.code)) return true
  }
  if (error instanceof AggregateError) return error.errors.some((part) => isUnavailable(part, depth + 1))
  return isUnavailable(error.cause, depth + 1)
}
