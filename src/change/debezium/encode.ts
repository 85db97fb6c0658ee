import type {
  ChangeEvent,
  Delete,
  LogicalMessage,
  StreamItem,
  TransactionPiece,
  Truncate,
  Update,
} from '../change-event.ts'
import { qualifiedName, type Relation } from '../relation.ts'
import { jsonString } from './json-text.ts'
import { passes } from './name-filter.ts'
import { isTableCaptured, type DebeziumOptions } from './options.ts'
import { createRowEncoder, type RowEncoder } from './row-encoder.ts'
import { createSourceWriter } from './source.ts'
import { topicsOf } from './topic.ts'
import { createTransactionMetadata, type KeyAndValue, type TransactionMetadata } from './transaction-metadata.ts'
import { bytesWriter } from './types/text.ts'

/** A record as Debezium would produce it: key and value are the exact JSON text, null is Kafka's null. */
export interface DebeziumRecord {
  readonly topic: string
  readonly key: string | null
  readonly value: string | null
  readonly headers: Readonly<Record<string, string>>
}

export interface DebeziumEncoderDeps {
  /** Name of the database, for `source.db`. */
  readonly database: string
  /** Wall clock: nanoseconds since 1970-01-01 UTC. */
  readonly now: () => bigint
  /** A random UUID per start, for the header `__debezium.context.runId`. */
  readonly runId: string
}

export interface DebeziumEncoder {
  /** The records of one item, in order. Items are given in the order of the stream: transactions span them. */
  encode(item: StreamItem): Iterable<DebeziumRecord>
  heartbeat(): DebeziumRecord
}

interface Table {
  readonly topic: string
  readonly collection: string
  readonly isCaptured: boolean
  readonly rows: RowEncoder
}

/** Data collection of logical messages in END records. Debezium prints a Java object's address there. */
const MESSAGE_COLLECTION = 'LOGICAL_DECODING_MESSAGE'

const NO_HEADERS = {}

export function createDebeziumEncoder(deps: DebeziumEncoderDeps, options: DebeziumOptions): DebeziumEncoder {
  const topics = topicsOf(options)
  const source = createSourceWriter(options, deps.database)
  const writeBytes = bytesWriter(options)
  const messagePrefixes = { include: options.messagePrefixInclude, exclude: options.messagePrefixExclude }
  const contextHeaders: Readonly<Record<string, string>> = options.extendedHeadersEnabled
    ? {
        '__debezium.context.connectorLogicalName': options.topicPrefix,
        '__debezium.context.taskId': '0',
        '__debezium.context.connectorName': 'postgresql',
        '__debezium.context.runId': deps.runId,
      }
    : NO_HEADERS
  const tables = new WeakMap<Relation, Table>()
  let open: TransactionMetadata | null = null

  function tableOf(relation: Relation): Table {
    const known = tables.get(relation)
    if (known) return known
    const table: Table = {
      topic: topics.table(relation.schema, relation.table),
      collection: qualifiedName(relation),
      isCaptured: isTableCaptured(options, relation.schema, relation.table),
      rows: createRowEncoder(relation, options),
    }
    tables.set(relation, table)
    return table
  }

  interface Row {
    readonly before: string
    readonly after: string
    readonly op: string
  }

  function envelope(event: Exclude<ChangeEvent, LogicalMessage>, table: Table, row: Row): string {
    const transaction = event.op === 'r' ? 'null' : (open?.block(event, table.collection) ?? 'null')
    const ns = deps.now()
    return (
      `{"before":${row.before},"after":${row.after},"source":${source(event, event.relation)}` +
      `,"transaction":${transaction},"op":"${row.op}","ts_ms":${ns / 1_000_000n},"ts_us":${ns / 1000n},"ts_ns":${ns}}`
    )
  }

  function* deletion(
    event: Delete | Update,
    table: Table,
    key: string | null,
    extra: object,
  ): Generator<DebeziumRecord> {
    const before = event.before ? table.rows.before(event.before) : 'null'
    const headers = { ...extra, ...contextHeaders }
    const value = envelope(event, table, { before, after: 'null', op: 'd' })
    yield { topic: table.topic, key, value, headers }
    if (options.tombstonesOnDelete) yield { topic: table.topic, key, value: null, headers }
  }

  function* update(event: Update, table: Table): Generator<DebeziumRecord> {
    const { before, after } = event
    const { rows, topic } = table
    if (options.skipMessagesWithoutChange && before && !rows.differ(before, after)) return
    const oldKey = before && rows.oldKey(before)
    const key = rows.key(after, before, false)
    const afterText = rows.after(after, before, false)
    if (before && oldKey !== key && oldKey !== null && key !== null) {
      yield* deletion(event, table, oldKey, { '__debezium.newkey': key })
      const headers = { '__debezium.oldkey': oldKey, ...contextHeaders }
      yield { topic, key, value: envelope(event, table, { before: 'null', after: afterText, op: 'c' }), headers }
      return
    }
    const row = { before: before ? rows.before(before) : 'null', after: afterText, op: 'u' }
    yield { topic, key, value: envelope(event, table, row), headers: contextHeaders }
  }

  function truncation(event: Truncate, table: Table): DebeziumRecord {
    const value = envelope(event, table, { before: 'null', after: 'null', op: 't' })
    return { topic: table.topic, key: null, value, headers: contextHeaders }
  }

  function* message(event: LogicalMessage): Generator<DebeziumRecord> {
    if (!passes(messagePrefixes, event.prefix)) return
    const transaction = event.isTransactional ? (open?.block(event, MESSAGE_COLLECTION) ?? 'null') : 'null'
    const prefix = jsonString(event.prefix)
    const value =
      `{"op":"m","ts_ms":${deps.now() / 1_000_000n},"source":${source(event, { schema: '', table: '' })}` +
      `,"transaction":${transaction},"message":{"prefix":${prefix},"content":${writeBytes(event.content)}}}`
    yield { topic: topics.message, key: `{"prefix":${prefix}}`, value, headers: NO_HEADERS }
  }

  function* change(event: ChangeEvent): Generator<DebeziumRecord> {
    if (event.op === 'm') {
      yield* message(event)
      return
    }
    const table = tableOf(event.relation)
    if (!table.isCaptured || options.skippedOperations.has(event.op)) return
    switch (event.op) {
      case 'c':
      case 'r': {
        const isSnapshot = event.op === 'r'
        const key = table.rows.key(event.after, null, isSnapshot)
        const after = table.rows.after(event.after, null, isSnapshot)
        const value = envelope(event, table, { before: 'null', after, op: event.op })
        yield { topic: table.topic, key, value, headers: contextHeaders }
        return
      }
      case 'u':
        yield* update(event, table)
        return
      case 'd':
        yield* deletion(event, table, table.rows.oldKey(event.before), NO_HEADERS)
        return
      case 't':
        yield truncation(event, table)
    }
  }

  const metadataRecord = ({ key, value }: KeyAndValue): DebeziumRecord => {
    return { topic: topics.transaction, key, value, headers: NO_HEADERS }
  }

  function* transactionPiece(piece: TransactionPiece): Generator<DebeziumRecord> {
    const [first] = piece.changes
    // A message outside of a transaction comes in a piece of its own.
    const hasMetadata = options.provideTransactionMetadata && piece.transaction.xid !== 0
    if (hasMetadata && !open && first) {
      open = createTransactionMetadata(piece.transaction)
      yield metadataRecord(open.begin(piece.transaction.beginLsn ?? first.lsn))
    }
    for (const event of piece.changes) yield* change(event)
    if (piece.endLsn === null) return
    if (hasMetadata && open) yield metadataRecord(open.end(piece.endLsn))
    open = null
  }

  return {
    *encode(item) {
      if (item.kind === 'transaction') yield* transactionPiece(item)
      else if (item.kind === 'snapshot') for (const event of item.changes) yield* change(event)
    },
    heartbeat: () => ({
      topic: topics.heartbeat,
      key: `{"serverName":${jsonString(options.topicPrefix)}}`,
      value: `{"ts_ms":${deps.now() / 1_000_000n}}`,
      headers: NO_HEADERS,
    }),
  }
}
