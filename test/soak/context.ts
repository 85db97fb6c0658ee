import type { Sql } from 'postgres'

import { type Lsn } from '../../src/change/lsn.ts'
import type { HistoryRecord } from '../history/record.ts'
import type { RunningCacheReader } from '../../src/cache/create-cache-reader.ts'
import type { RedisClient } from '../../src/roles/redis-client.ts'
import type { HttpClient } from '../../app/load/http-client.ts'
import type { SoakRows } from './rows.ts'

/** What the clients of a soak share. */
export interface SoakContext {
  readonly sql: Sql
  readonly redis: RedisClient
  readonly http: HttpClient
  readonly reader: RunningCacheReader
  readonly rows: SoakRows
  readonly record: (record: HistoryRecord) => void
  /** Something was asked for and not answered: no violation, a fault is under way. */
  readonly unanswered: (what: 'read' | 'write') => void
  /** Resolves when writers may go on: at rest they wait. */
  readonly mayWrite: () => Promise<void>
  readonly writesUnderWay: { count: number }
  /** What the consumers of the cache have passed, as the cache itself says. */
  readonly reached: () => Promise<Lsn | null>
  readonly signal: AbortSignal
}
