import type { ChangeEvent, Transaction } from '../change-event.ts'
import { jsonString } from './json-text.ts'
import type { DebeziumOptions } from './options.ts'

/** The compatibility level that consumers look at: the Debezium release whose output this is measured against. */
const DEBEZIUM_VERSION = '3.6.1.Final'

export type SourceWriter = (event: ChangeEvent, place: { schema: string; table: string }) => string

/** The envelope's `source` block, fields in Debezium's order (debezium-events.md 1.4). */
export function createSourceWriter(options: DebeziumOptions, database: string): SourceWriter {
  const head = `{"version":"${DEBEZIUM_VERSION}","connector":"postgresql","name":${jsonString(options.topicPrefix)},"ts_ms":`
  const db = `,"db":${jsonString(database)},"sequence":`
  // The struct holds null and "false" is the schema's default, so it goes the way of every NULL with a default.
  const streaming = options.valueReplaceNullWithDefault ? '"false"' : 'null'

  let readAtMicros = 0n

  /** A message outside of a transaction has the time of what came before it. */
  function sourceTime(event: ChangeEvent, isAlone: boolean): bigint {
    const micros = event.transaction.commitTimeMicros
    if (event.op === 'r') readAtMicros = micros
    return isAlone && micros === 0n ? readAtMicros : micros
  }

  return (event, place) => {
    const { transaction, lsn } = event
    const isAlone = event.op === 'm' && !event.isTransactional
    const time = sourceTime(event, isAlone)
    const snapshot = event.op === 'r' ? `"${event.marker}"` : streaming
    const txId = isAlone ? 'null' : String(transaction.xid)
    return (
      `${head}${millisOf(time)},"snapshot":${snapshot}${db}${sequence(event)},"ts_us":${time},"ts_ns":${time}000` +
      `,"schema":${jsonString(place.schema)},"table":${jsonString(place.table)},"txId":${txId},"lsn":${lsn}` +
      `,"xmin":null,${origin(transaction)}}`
    )
  }
}

export function millisOf(micros: bigint): bigint {
  return micros >= 0n ? micros / 1000n : (micros - 999n) / 1000n
}

function sequence(event: ChangeEvent): string {
  const last = event.transaction.previousCommitEndLsn
  return `"[${last === null ? 'null' : `\\"${last}\\"`},\\"${event.lsn}\\"]"`
}

function origin(transaction: Transaction): string {
  if (!transaction.origin) return '"origin":null,"origin_lsn":null'
  return `"origin":${jsonString(transaction.origin.name)},"origin_lsn":${transaction.origin.lsn}`
}
