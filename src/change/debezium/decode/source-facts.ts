import type { SnapshotMarker, Transaction } from '../../change-event.ts'
import { LSN_ZERO, type Lsn, toLsn } from '../../lsn.ts'
import { type Json, type JsonObject, parseExactly, payloadOf } from './json-value.ts'
import { malformed } from './malformed.ts'

/** The envelope's `source` block (debezium-events.md 1.4). */
export interface SourceFacts {
  readonly schema: string
  readonly table: string
  /** The lower 32 bits; 0 where Debezium has none, in rows of an incremental snapshot. */
  readonly xid: number
  /** Of an incremental snapshot's rows: where the stream was. */
  readonly lsn: Lsn
  readonly commitTimeMicros: bigint
  readonly snapshot: 'false' | SnapshotMarker | 'incremental'
  readonly previousCommitEndLsn: Lsn | null
  readonly origin: Transaction['origin']
}

const MARKERS: ReadonlySet<unknown> = new Set([
  'false',
  'first',
  'first_in_data_collection',
  'true',
  'last_in_data_collection',
  'last',
  'incremental',
])

/** @param text of the whole record, for a position above 2^53 @throws TrackOpsError DECODE */
export function readSource(source: JsonObject, text: string): SourceFacts {
  if (typeof source['connector'] === 'string' && source['connector'] !== 'postgresql') {
    throw malformed('its source is the connector of another database')
  }
  if (isAboveSafe(source['lsn']) || isAboveSafe(source['ts_us']) || isAboveSafe(source['origin_lsn'])) {
    return readExactly(exactSource(text))
  }
  return readExactly(source)
}

function isAboveSafe(json: Json | undefined): boolean {
  return typeof json === 'number' && !Number.isSafeInteger(json)
}

function exactSource(text: string): JsonObject {
  const envelope = payloadOf(parseExactly(text) as JsonObject) as JsonObject
  return envelope['source'] as JsonObject
}

function readExactly(source: JsonObject): SourceFacts {
  const { schema, table, txId, origin } = source
  if (typeof schema !== 'string' || typeof table !== 'string') throw malformed('its source names no schema and table')
  // The struct holds null, and "false" is the schema's default (replace.null.with.default).
  const snapshot = source['snapshot'] ?? 'false'
  if (!MARKERS.has(snapshot)) throw malformed('its source.snapshot is unknown')
  const sequence = sequenceOf(source['sequence'])
  return {
    schema,
    table,
    xid: typeof txId === 'number' && Number.isSafeInteger(txId) && txId > 0 ? txId % 2 ** 32 : 0,
    lsn: lsnOf(source['lsn'], 'lsn') ?? sequence.lsn ?? LSN_ZERO,
    commitTimeMicros: timeOf(source),
    snapshot: snapshot as SourceFacts['snapshot'],
    previousCommitEndLsn: sequence.previous,
    origin:
      typeof origin === 'string' ? { name: origin, lsn: lsnOf(source['origin_lsn'], 'origin_lsn') ?? LSN_ZERO } : null,
  }
}

function lsnOf(json: Json | undefined, name: string): Lsn | null {
  if (json === undefined || json === null) return null
  if (typeof json !== 'bigint' && !Number.isSafeInteger(json)) throw malformed(`its source.${name} is no position`)
  // An int64 of Java.
  return toLsn(BigInt.asUintN(64, BigInt(json as number | bigint)))
}

/** Debezium before 2.5 has milliseconds only. */
function timeOf(source: JsonObject): bigint {
  const { ts_us: micros, ts_ms: millis } = source
  if (typeof micros === 'bigint' || Number.isSafeInteger(micros)) return BigInt(micros as number | bigint)
  if (Number.isSafeInteger(millis)) return BigInt(millis as number) * 1000n
  throw malformed('its source has no time')
}

const SEQUENCE = /^\[(?:null|"(\d{1,20})"),\s*(?:null|"(\d{1,20})")\]$/

function sequenceOf(json: Json | undefined): { readonly previous: Lsn | null; readonly lsn: Lsn | null } {
  const match = typeof json === 'string' ? SEQUENCE.exec(json) : null
  const lsn = (digits: string | undefined): Lsn | null => {
    return digits === undefined ? null : toLsn(BigInt.asUintN(64, BigInt(digits)))
  }
  return { previous: lsn(match?.[1]), lsn: lsn(match?.[2]) }
}
