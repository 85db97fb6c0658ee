/**
 * Every failure that TrackOps knows by name: whether trying again can help, and what an operator does about it. What is
 * not in this table is never retried. Messages say what happened, to what, and what was expected; never a row's values.
 */
export type Retry =
  /** Passes by itself; tried again with growing pauses, without end. */
  | 'timed'
  /** Somebody has to do something first; tried again now and then, so that the mend is noticed. */
  | 'manual'
  /** The same input will fail again. */
  | 'never'

interface CatalogEntry {
  readonly retry: Retry
  readonly mend: string
}

export const ERRORS = {
  CONFIG_INVALID: { retry: 'never', mend: 'Correct the named setting and start again.' },
  USAGE: { retry: 'never', mend: 'See trackops --help.' },
  MIGRATION: { retry: 'never', mend: 'Mend the named file or the database, as the message says, and start again.' },
  PORT_TAKEN: {
    retry: 'never',
    mend: 'Stop the program that listens there, or choose another port with the named variable.',
  },
  SERVER_MISSING: { retry: 'never', mend: 'Install the named server, or give the URL of a running one.' },
  DATA_DIRECTORY_BUSY: {
    retry: 'never',
    mend: 'Stop the other trackops that uses this directory, or give another with --data.',
  },
  POSTGRES_UNREACHABLE: {
    retry: 'timed',
    mend: 'Check that PostgreSQL runs, and that the URL is right: host, user, password, sslmode and its certificates.',
  },
  POSTGRES_REFUSED: {
    retry: 'manual',
    mend: 'Check the role, its password and rights, and sslmode: the server answered and said no.',
  },
  POSTGRES_PROTOCOL: {
    retry: 'timed',
    mend: 'The connection is made anew. If it comes again, report it with the details.',
  },
  WAL_LEVEL: { retry: 'manual', mend: "alter system set wal_level = 'logical', then restart PostgreSQL." },
  PUBLICATION_MISSING: {
    retry: 'manual',
    mend: 'Create the publication again, or let trackops do it: trackops preflight shows the command.',
  },
  SLOT_LOST: {
    retry: 'manual',
    mend: 'The slot is gone or invalidated: it is made anew, the cache forgotten and warmed.',
  },
  SLOT_BUSY: {
    retry: 'timed',
    mend: 'Another process reads this slot; stop it, or wait until the server has noticed its end.',
  },
  REPLICA_IDENTITY_WEAK: {
    retry: 'manual',
    mend: 'alter table ... replica identity full, as trackops preflight prints it.',
  },
  DECODE: {
    retry: 'never',
    mend: 'The change stream holds something unknown. Report it with the details; the event is set aside.',
  },
  SPOOL_FAILED: {
    retry: 'timed',
    mend: 'Make room in the directory for temporary files (TMPDIR), or make it writable.',
  },
  HISTORY_CHANGED: {
    retry: 'timed',
    mend: 'Nothing: positions of another history are forgotten, and the cache warmed anew.',
  },
  REDIS_UNREACHABLE: {
    retry: 'timed',
    mend: 'Check that Redis runs and that REDIS_URL is right. Meanwhile readers are served by the database.',
  },
  REDIS_REFUSED: {
    retry: 'timed',
    mend: 'Redis answered and said no (out of memory, read-only replica, loading; user, password or ACL): see its reply.',
  },
  KAFKA_UNREACHABLE: {
    retry: 'timed',
    mend:
      'Check that the brokers run, and that KAFKA_BROKERS, KAFKA_TLS and KAFKA_SASL_MECHANISM are what that listener wants: ' +
      'one that closes the connection wants TLS, a login or a client certificate.',
  },
  KAFKA_REFUSED: {
    retry: 'manual',
    mend: 'Kafka answered and said no: check user and password (KAFKA_SASL_...), the rights of the user, and the topic.',
  },
  TOPIC_MISSING: {
    retry: 'manual',
    mend: 'Register the connector (trackops connector --register URL), or create the topic.',
  },
  OFFSET_GONE: {
    retry: 'timed',
    mend: 'Nothing: what was removed from the topic is forgotten. Raise its retention if it comes again.',
  },
  POSITION_MISMATCH: {
    retry: 'timed',
    mend: 'Nothing: the consumer finds out whether Redis lost writes or somebody else owns the position.',
  },
  VIEW_FAILED: { retry: 'never', mend: "The view's function threw. Mend it, then: trackops dlq replay." },
  EVENT_FAILED: { retry: 'never', mend: "The event's function threw. Mend it, then: trackops dlq replay." },
  DATABASE_BUSY: {
    retry: 'timed',
    mend: 'All places for reads of the database are taken: raise the limit, or find out why so many keys are missed.',
  },
  DATABASE_IS_STANDBY: {
    retry: 'timed',
    mend: 'Give the readers the URL of the primary; after a failover, wait until the new one is promoted.',
  },
  NOT_RUNNING: { retry: 'manual', mend: 'Start it with ./trackops up, or name its port in TRACKOPS_CONSOLE_PORT.' },
  CONNECT_UNREACHABLE: {
    retry: 'timed',
    mend: 'Check that Kafka Connect runs and that the URL of its REST API is right.',
  },
  CONNECT_REFUSED: {
    retry: 'manual',
    mend: "Kafka Connect answered and said no: see its reason, and the worker's log.",
  },
  CONNECTOR_FAILED: {
    retry: 'manual',
    mend: 'Remove the cause, then again: trackops connector --register URL. trackops preflight knows most causes.',
  },
  UNKNOWN_KEY: { retry: 'never', mend: 'Name a key as a view makes it: trackops.config.ts has their templates.' },
  TIMEOUT: { retry: 'timed', mend: 'Look at the load of the named server.' },
} as const satisfies Record<string, CatalogEntry>

export type ErrorCode = keyof typeof ERRORS

export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>

export class TrackOpsError extends Error {
  override readonly name = 'TrackOpsError'
  readonly code: ErrorCode
  /** Positions, table names, ports: what an operator needs to find the place. Never row values. */
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  get retry(): Retry {
    return ERRORS[this.code].retry
  }

  get mend(): string {
    return ERRORS[this.code].mend
  }
}

/** Unknown errors are never retried: nobody has thought about what a second try would do. */
export function retryOf(error: unknown): Retry {
  return error instanceof TrackOpsError ? error.retry : 'never'
}

/** One line for people: what happened and what to do. */
export function describeError(error: unknown): string {
  if (error instanceof TrackOpsError) return `${error.message} [${error.code}] ${error.mend}`
  return error instanceof Error ? error.message || error.name : String(error)
}
