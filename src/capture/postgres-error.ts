import { type ErrorCode, type ErrorDetails, TrackOpsError } from '../runtime/errors.ts'

/** The fields of an ErrorResponse or NoticeResponse that we use, by PostgreSQL's one-letter names. */
export interface ServerReport {
  /** `V`: ERROR, FATAL, WARNING, ...; never translated. */
  readonly severity: string
  /** `C`: the SQLSTATE. */
  readonly sqlState: string
  readonly message: string
  /** `R`: the C function that reported it; never translated, so that it tells reports with one SQLSTATE apart. */
  readonly routine: string
}

export function parseServerReport(bytes: Buffer, start: number, end: number): ServerReport {
  const fields = new Map<string, string>()
  let at = start
  while (at < end && bytes[at] !== 0) {
    const name = String.fromCharCode(bytes[at] ?? 0)
    let stop = bytes.indexOf(0, at + 1)
    if (stop === -1 || stop > end) stop = end
    fields.set(name, bytes.toString('utf8', at + 1, stop))
    at = stop + 1
  }
  return {
    severity: fields.get('V') ?? fields.get('S') ?? '',
    sqlState: fields.get('C') ?? '',
    message: fields.get('M') ?? '',
    routine: fields.get('R') ?? '',
  }
}

/**
 * Which error of the catalogue a SQLSTATE is (https://www.postgresql.org/docs/current/errcodes-appendix.html). What the
 * server says about itself (shutting down, starting up, out of resources) passes; what it says about us does not.
 */
export function codeOfSqlState(sqlState: string): ErrorCode {
  if (sqlState === '55006') return 'SLOT_BUSY'
  if (sqlState === '55P03' || sqlState === '57014') return 'TIMEOUT'
  // all replication slots or walsenders are taken: somebody has to raise the limit
  if (sqlState === '53400') return 'POSTGRES_REFUSED'
  return /^(?:08|40|53|57|58)/.test(sqlState) ? 'POSTGRES_UNREACHABLE' : 'POSTGRES_REFUSED'
}

/** From a report on our own connection. The server's text names objects, never row values, for all that we send it. */
export function errorFromReport(report: ServerReport, details: ErrorDetails = {}): TrackOpsError {
  return new TrackOpsError(codeOfSqlState(report.sqlState), `PostgreSQL: ${report.message}`, {
    details: { ...details, sqlState: report.sqlState },
  })
}

/** From whatever the driver or a socket throws. What is neither stays what it is: a fault of ours is not tried again. */
export function toCaptureError(error: unknown, doing: string): Error {
  if (error instanceof TrackOpsError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof Error && error.name === 'PostgresError') {
    return new TrackOpsError(codeOfSqlState(code), `${doing}: PostgreSQL: ${message}`, {
      details: { sqlState: code },
      cause: error,
    })
  }
  // node's socket errors (ECONNREFUSED, EPIPE), TLS errors, and the driver's own (CONNECTION_CLOSED, CONNECT_TIMEOUT)
  if (/^(?:E[A-Z_]+|CONNECT|CONNECTION_[A-Z]+|CONNECT_TIMEOUT|ERR_TLS_.*|ERR_SSL_.*|.*CERT.*)$/.test(code)) {
    return new TrackOpsError('POSTGRES_UNREACHABLE', `${doing}: ${message || code}`, {
      details: { code },
      cause: error,
    })
  }
  return error instanceof Error ? error : new Error(`${doing}: ${message}`)
}
