import { createDatabaseReads } from '../cache/database-read.ts'
import { type Inspection, inspectKey } from '../verify/inspect-key.ts'
import type { Connections } from './connections.ts'

const TIMEOUT_MS = 10_000

/** @throws TrackOpsError UNKNOWN_KEY, REDIS_UNREACHABLE, POSTGRES_UNREACHABLE, ... */
export async function inspect(
  connections: Pick<Connections, 'redis' | 'sql' | 'views'>,
  key: string,
): Promise<Inspection> {
  const { redis, sql, views } = connections
  return await inspectKey({ redis, timeoutMs: TIMEOUT_MS, views, reads: createDatabaseReads({ sql }) }, key)
}
