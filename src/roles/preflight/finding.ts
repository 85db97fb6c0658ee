import type { Sql } from 'postgres'

import type { CompiledViews } from '../../cache/compiled-view.ts'
import type { RedisConnection } from '../../cache/redis-call.ts'
import type { TrackOpsConfig } from '../define-config.ts'
import type { Requirement } from './requirements.ts'
import type { TableFacts } from './table-facts.ts'

/** What preflight found. An `error` means: as it stands, something is lost, wrong, or does not start. */
export interface Finding {
  /** Stable, for scripts: `wal-level`, `replica-identity-weak`. */
  readonly id: string
  readonly severity: 'error' | 'warning' | 'info'
  readonly finding: string
  /** What happens if it stays so. */
  readonly consequence: string
  /** The command that mends it, or, where no command does, what to do. */
  readonly mend: string
}

/** One theme. Finds everything that it can find, rather than the first thing; throws only where it could not look. */
export interface Check<Context> {
  readonly name: string
  readonly run: (context: Context) => Promise<readonly Finding[]>
}

export interface DatabaseContext {
  readonly config: TrackOpsConfig
  readonly views: CompiledViews
  /** The source database. */
  readonly sql: Sql
  /** What views and events need of each table. */
  readonly requirements: readonly Requirement[]
  /** The tables among them that exist, by name; asked for once. */
  readonly tables: () => Promise<ReadonlyMap<string, TableFacts>>
}

export interface RedisContext {
  readonly redis: RedisConnection
  readonly timeoutMs: number
}

export interface ClockContext extends RedisContext {
  readonly sql: Sql
  /** This machine's clock, milliseconds since 1970. */
  readonly now: () => number
}
