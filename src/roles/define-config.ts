import type { Sql } from 'postgres'

import type { View } from '../cache/view.ts'
import type { EventDefinition } from '../consume/event-definition.ts'
import type { ServiceDefinition } from './service.ts'

/**
 * `trackops.config.ts`, the one file that tells TrackOps about an application: where the changes come from, which views
 * are kept, which domain events are derived, and which services run beside them.
 */
export interface TrackOpsConfig {
  readonly source: SourceConfig
  readonly views: readonly View[]
  readonly events?: readonly EventDefinition[]
  /** Further databases, by name, beside the source's. */
  readonly databases?: Readonly<Record<string, DatabaseConfig>>
  readonly services?: readonly ServiceDefinition[]
  readonly cache?: CacheConfig
  /** `trackops load`: realistic traffic through the application's services. Resolves to the exit status. */
  readonly load?: (argv: string[], io: LoadIo) => Promise<number>
  /** Adds `count` sample rows to the source database: `trackops up --seed 1000`. */
  readonly seed?: (sql: Sql, count: number) => Promise<void>
}

export interface LoadIo {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
}

export interface DatabaseConfig {
  /** Name of the environment variable that may hold the URL of a running server. */
  readonly urlVariable: string
  /** Name of the database in the embedded server, used where the variable is not set. */
  readonly embeddedName: string
  /** Folder of numbered SQL files, relative to the configuration file; run in order, each once. */
  readonly migrations?: string
}

export interface SourceConfig extends DatabaseConfig {
  /** Replication slot; made if missing. Letters, digits and underscores. */
  readonly slot: string
  /** Publication; made for the tables that views and events name, if missing. */
  readonly publication: string
  /** Distributed mode: first part of the names of the connector's topics, and the connector's name. Default: the slot's name. */
  readonly topicPrefix?: string
}

export interface CacheConfig {
  /** Put before every key, so that TrackOps can share a Redis. Default: none. */
  readonly keyPrefix?: string
  /**
   * `together` (default): cache-invalidator and cache-warmer are one consumer, and one write serves both. `apart`: each has its own
   * loop and position, as with two consumer groups.
   */
  readonly consumers?: 'together' | 'apart'
}

/** Gives the configuration its type; what it means is checked when it is loaded. */
export function defineConfig(config: TrackOpsConfig): TrackOpsConfig {
  return config
}
