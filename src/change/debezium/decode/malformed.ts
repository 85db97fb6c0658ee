import { TrackOpsError, type ErrorDetails } from '../../../runtime/errors.ts'

/** A record that no Debezium connector for PostgreSQL writes. What it holds is left out: it may be a row's. */
export function malformed(reason: string, details: ErrorDetails = {}): TrackOpsError {
  return new TrackOpsError('DECODE', `not a change event of Debezium's PostgreSQL connector: ${reason}`, { details })
}
