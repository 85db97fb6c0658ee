import { isUtf8 } from 'node:buffer'

import type { Lsn } from '../../lsn.ts'
import { type RowSchema, rowSchemaOf } from './field-schema.ts'
import { isObject, isWrapped, type Json, type JsonObject, payloadOf } from './json-value.ts'
import { malformed } from './malformed.ts'
import { readSource, type SourceFacts } from './source-facts.ts'

/** A record of Kafka. `headers` may be empty. */
export interface RawRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: ReadonlyMap<string, string>
}

/** What a record is. Only a `row` is something to read further. */
export type Envelope = RowEnvelope | MessageEnvelope | OtherEnvelope

export interface OtherEnvelope {
  readonly kind: 'tombstone' | 'heartbeat' | 'transaction-metadata' | 'schema-change'
}

/** `pg_logical_emit_message`. */
export interface MessageEnvelope {
  readonly kind: 'message'
  readonly prefix: string
  /** As it was written: base64, unless `binary.handling.mode` says otherwise. */
  readonly content: string
  /** 0 outside of a transaction. */
  readonly xid: number
  readonly lsn: Lsn
}

export interface RowEnvelope extends SourceFacts {
  readonly kind: 'row'
  readonly op: 'c' | 'u' | 'd' | 'r' | 't'
  /** Of `after`, or else of `before`, in their order; none for `t`. */
  readonly fields: readonly string[]
  readonly before: JsonObject | null
  readonly after: JsonObject | null
  /** `provide.transaction.metadata`: the number of the event in its transaction, from 1. */
  readonly totalOrder: number | null
  /** Half of a changed key: `leaves` the `d` of the old one, `arrives` the `c` of the new. */
  readonly keyChange: 'leaves' | 'arrives' | null
  /** null without `schemas.enable`. */
  readonly rowSchema: RowSchema | null
  /** The record, for the digits that a number of JSON may have lost. */
  readonly text: string
}

const ROW_OPS = new Set<unknown>(['c', 'u', 'd', 'r', 't'])

/**
 * Never throws for a record that is not ours to read.
 *
 * @throws TrackOpsError DECODE naming what is wrong, never a value
 */
export function parseEnvelope(record: RawRecord): Envelope {
  if (record.value === null) return { kind: 'tombstone' }
  const text = textOf(record.value)
  const parsed = parseObject(text)
  if (parsed === null) return { kind: 'tombstone' }
  const payload = payloadOf(parsed)
  if (payload === null) return { kind: 'tombstone' }
  if (!isObject(payload)) throw malformed('its payload is no object')
  return envelopeOf(record, payload, text, isWrapped(parsed) ? parsed['schema'] : undefined)
}

function textOf(value: Buffer): string {
  if (!isUtf8(value)) throw malformed('it is not UTF-8: is the converter JsonConverter?')
  return value.toString('utf8')
}

/** null: the JSON text `null`, which is what a tombstone becomes where a transformation wraps it. */
function parseObject(text: string): JsonObject | null {
  let parsed: Json
  try {
    parsed = JSON.parse(text) as Json
  } catch {
    throw malformed('it is not JSON: is the converter JsonConverter?')
  }
  if (parsed !== null && !isObject(parsed)) throw malformed('it is JSON, but no object')
  return parsed
}

function envelopeOf(record: RawRecord, value: JsonObject, text: string, schema: Json | undefined): Envelope {
  const { op, source } = value
  if (isObject(source)) {
    if (ROW_OPS.has(op)) return rowEnvelope(record, value, text, schema)
    if (op === 'm') return messageEnvelope(value, source, text)
    if (op === undefined && (value['ddl'] !== undefined || value['tableChanges'] !== undefined)) {
      return { kind: 'schema-change' }
    }
    throw malformed('its op is none of c, u, d, r, t, m')
  }
  if (ROW_OPS.has(op) || op === 'm') throw malformed('its envelope has no source')
  const { status, id } = value
  if ((status === 'BEGIN' || status === 'END') && typeof id === 'string' && value['event_count'] !== undefined) {
    return { kind: 'transaction-metadata' }
  }
  if (isHeartbeat(record.key, value)) return { kind: 'heartbeat' }
  throw malformed('it has no envelope: take the transformation ExtractNewRecordState out of the connector')
}

function isHeartbeat(key: Buffer | null, value: JsonObject): boolean {
  const names = Object.keys(value)
  if (names.length !== 1 || typeof value['ts_ms'] !== 'number') return false
  return key === null || key.includes('"serverName"')
}

function messageEnvelope(value: JsonObject, source: JsonObject, text: string): MessageEnvelope {
  const { message } = value
  const { prefix, content } = isObject(message) ? message : {}
  if (typeof prefix !== 'string') throw malformed('its message has no prefix')
  const { xid, lsn } = readSource(source, text)
  return { kind: 'message', prefix, content: typeof content === 'string' ? content : '', xid, lsn }
}

function rowEnvelope(record: RawRecord, value: JsonObject, text: string, schema: Json | undefined): RowEnvelope {
  const op = value['op'] as RowEnvelope['op']
  const before = image(value, 'before')
  const after = image(value, 'after')
  if (after === null && op !== 'd' && op !== 't') throw malformed(`op ${op}, but no row in after`)
  const { transaction } = value
  const totalOrder = isObject(transaction) ? transaction['total_order'] : null
  const row = after ?? before
  return {
    ...readSource(value['source'] as JsonObject, text),
    kind: 'row',
    op,
    fields: row === null || op === 't' ? [] : Object.keys(row),
    before,
    after,
    totalOrder: typeof totalOrder === 'number' ? totalOrder : null,
    keyChange: keyChange(op, record.headers),
    rowSchema: schema === undefined ? null : rowSchemaOf(schema),
    text,
  }
}

function image(value: JsonObject, name: 'before' | 'after'): JsonObject | null {
  const row = value[name]
  if (row === undefined || row === null) return null
  if (!isObject(row)) throw malformed(`${name} is no object`)
  return row
}

function keyChange(op: string, headers: ReadonlyMap<string, string>): RowEnvelope['keyChange'] {
  if (headers.size === 0) return null
  if (op === 'd' && headers.has('__debezium.newkey')) return 'leaves'
  return op === 'c' && headers.has('__debezium.oldkey') ? 'arrives' : null
}
