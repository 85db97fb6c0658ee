import type { Sql } from 'postgres'
import type { Registry } from 'prom-client'

import type { CacheReader } from '../cache/reader.ts'
import type { DomainEventBus } from '../log/domain-event.ts'
import type { Logger } from '../runtime/logger.ts'

/** A process of the application that `trackops up` and `trackops run NAME` start and stop with the rest. */
export interface ServiceDefinition {
  /** `order-service` */
  readonly name: string
  readonly port: { readonly variable: string; readonly default: number }
  readonly start: (context: ServiceContext) => Promise<RunningService>
}

export interface RunningService {
  /** Answers what was asked, takes no more, lets go of everything. */
  close(): Promise<void>
}

export interface ServiceContext {
  readonly log: Logger
  readonly metrics: Registry
  readonly host: string
  readonly port: number
  /** By the names under `databases` in the configuration. Pooled; closed by whoever made it, not by the service. */
  database(name: string): Sql
  readonly cache: CacheReader
  readonly events: DomainEventBus
  /** Aborts when the service is to stop; `close` follows. */
  readonly signal: AbortSignal
}
