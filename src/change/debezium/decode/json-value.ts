import { malformed } from './malformed.ts'

/** What a record's JSON parses to. A bigint only after `parseExactly`. */
export type Json = string | number | bigint | boolean | null | readonly Json[] | JsonObject

export interface JsonObject {
  readonly [name: string]: Json | undefined
}

/** Nothing that PostgreSQL writes as an integer is longer; digits without end would cost time without end. */
const LONGEST_INTEGER = 40
const INTEGER = /^-?\d+$/

/**
 * An integer that is no exact number becomes a bigint. Many times slower than JSON.parse: only for what needs it, and has
 * been parsed before.
 *
 * @throws TrackOpsError DECODE
 */
export function parseExactly(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
      if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
      const source = context?.source ?? ''
      return source.length <= LONGEST_INTEGER && INTEGER.test(source) ? BigInt(source) : value
    })
  } catch {
    // The one thing that JSON.parse alone does not mind.
    throw malformed('its JSON is nested too deeply')
  }
}

/** PostgreSQL's arrays have six dimensions at most. */
const DEEPEST_ARRAY = 6

/** Whether digits may have been lost, in the value itself or in an array's element. */
export function isInexact(json: Json, depth = 0): boolean {
  if (typeof json === 'number') return !Number.isSafeInteger(json)
  if (!Array.isArray(json) || depth === DEEPEST_ARRAY) return false
  return (json as readonly Json[]).some((element) => isInexact(element, depth + 1))
}

export function isObject(json: unknown): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/** The envelope of a record: `{"schema":…,"payload":…}` of `schemas.enable=true` has it one level down. */
export function payloadOf(record: JsonObject): Json {
  return isWrapped(record) ? (record['payload'] ?? null) : record
}

export function isWrapped(record: JsonObject): boolean {
  return record['payload'] !== undefined && record['schema'] !== undefined && Object.keys(record).length === 2
}
