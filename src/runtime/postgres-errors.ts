import { type ErrorCode, TrackOpsError } from './errors.ts'

/**
 * What a driver's error means. SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html;
 * the names in capitals are those of the `postgres` package and of Node's sockets.
 */
const UNREACHABLE = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ECONNABORTED',
  '57P01', // admin shutdown
  '57P02', // crash shutdown
  '57P03', // cannot connect now
  '57P05', // idle session timeout
  '25P03', // idle in transaction timeout
  '25P04', // transaction timeout
])
/** Passes when tried again: serialisation, deadlock, lock timeout, cancelled, resources, connections, a standby (until promoted). */
const PASSING = /^(40001|40P01|55P03|57014|53...|08...|25006)$/

export function postgresErrorCode(error: unknown): ErrorCode | undefined {
  // From the making of the connection.
  if (error instanceof TrackOpsError) return error.code.startsWith('POSTGRES_') ? error.code : undefined
  const code = sqlStateOf(error)
  if (code === undefined) return undefined
  if (UNREACHABLE.has(code) || PASSING.test(code)) return 'POSTGRES_UNREACHABLE'
  if (/^(28|3D|42501)/.test(code)) return 'POSTGRES_REFUSED'
  return undefined
}

/** The driver's or server's code, from the error or from what it wraps. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error instanceof AggregateError) return sqlStateOf(error.errors[0])
  return sqlStateOf(error.cause)
}

/** A catalogued error where the cause is known; anything else stays what it is, and is not retried. */
export function fromPostgres(error: unknown, doing: string): unknown {
  if (error instanceof TrackOpsError) return error
  const code = postgresErrorCode(error)
  if (!code) return error
  const state = sqlStateOf(error) ?? 'unknown'
  const what = code === 'POSTGRES_UNREACHABLE' ? 'PostgreSQL does not answer' : 'PostgreSQL refuses'
  return new TrackOpsError(code, `${what} while ${doing} (${state})`, { details: { sqlState: state }, cause: error })
}
