import type { DebeziumOptions } from './options.ts'

const MAX_LENGTH = 249

/** Kafka's rules for a topic name, applied as Debezium does: one `_` for each UTF-16 unit that may not be there. */
export function sanitizeTopic(name: string): string {
  const allowed = name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, MAX_LENGTH)
  if (allowed === '.') return '_'
  return allowed === '..' ? '__' : allowed
}

export interface Topics {
  table(schema: string, table: string): string
  readonly transaction: string
  readonly message: string
  readonly heartbeat: string
}

export function topicsOf(options: DebeziumOptions): Topics {
  const join = (...parts: string[]): string => sanitizeTopic(parts.join(options.topicDelimiter))
  return {
    table: (schema, table) => join(options.topicPrefix, schema, table),
    transaction: join(options.topicPrefix, options.topicTransaction),
    // The delimiter is not asked for here.
    message: sanitizeTopic(`${options.topicPrefix}.message`),
    heartbeat: sanitizeTopic(
      options.topicHeartbeatName ?? [options.topicHeartbeatPrefix, options.topicPrefix].join(options.topicDelimiter),
    ),
  }
}
