import type { Sql } from 'postgres'

import { loadMended } from './postgres-driver.ts'

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

/** Connects when first used. Notices are dropped: they belong to whoever runs SQL by hand. */
export function createPostgresPool(url: string, options: PostgresPoolOptions): Sql {
  return postgres(url, {
    max: options.maxConnections ?? 10,
    onnotice: () => undefined,
    connect_timeout: 10,
    // Seconds. The driver's own pauses grow to 20: too long for a server that is back.
    backoff: (failures: number) => Math.min(1, 0.05 * 2 ** failures),
    connection: {
      application_name: options.applicationName,
      ...TEXT_FORM_SETTINGS,
      ...(options.lockTimeoutMs === undefined ? {} : { lock_timeout: options.lockTimeoutMs }),
    },
  })
}
