/** The public API: what an application built on TrackOps imports. Everything else may change. */
export { type CacheReader, type Read, type ReadOptions } from './cache/reader.ts'
export { type FreshnessToken, formatToken, parseToken } from './cache/token.ts'
export {
  type Document,
  type KeyParameters,
  type ListView,
  listView,
  type QueryView,
  queryView,
  type Row,
  type RowView,
  rowView,
  type View,
  type WarmingPolicy,
} from './cache/view.ts'
export { writeFresh } from './cache/writes.ts'
export { type Value } from './change/value.ts'
export { type EventDefinition, type RowChangeView } from './consume/event-definition.ts'
export { type ConsumeOptions, type DomainEvent, type DomainEventBus } from './log/domain-event.ts'
export { defineConfig, type TrackOpsConfig } from './roles/define-config.ts'
export { type RunningService, type ServiceContext, type ServiceDefinition } from './roles/service.ts'
export { enqueue } from './log/outbox.ts'
export { describeError, TrackOpsError } from './runtime/errors.ts'
export { type Logger } from './runtime/logger.ts'
