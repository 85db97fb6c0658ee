import type { Sql } from 'postgres'

import type { SnapshotPiece, SnapshotRead, Transaction } from '../change/change-event.ts'
import { type Lsn, toLsn } from '../change/lsn.ts'
import type { Relation } from '../change/relation.ts'
import type { Catalog } from './catalog.ts'
import { describeTable } from './describe-table.ts'
import { toCaptureError } from './postgres-error.ts'
import { quoteIdentifier, quoteLiteral, splitTableName } from './publication.ts'
import { connectReplication, type ReplicationConnection, type ResultRow } from './replication-connection.ts'
import { createSnapshotMarkers, type MarkedRow } from './snapshot-markers.ts'

/**
 * The rows that were there at the slot's consistent point, read in the snapshot which the slot's creation exported: every
 * transaction that commits later is in the stream, and none that committed before. So no gap and no overlap.
 *
 * Read by our own connection in the simple protocol: the texts are those of the types' output functions under the same
 * session settings as the walsender's, hence equal to pgoutput's, byte for byte. `::text` would not be: a boolean cast to text is
 * `true` where its output is `t`, and char(n) loses its padding.
 *
 * Generated columns are left out, as the stream leaves them out: a table has one shape, whichever way its rows came.
 * With `includesGenerated` (Debezium's way) they are in the snapshot only.
 */
export interface Snapshot {
  /** Pull is back-pressure: the next rows are fetched when the ones before were taken. */
  pieces(): AsyncGenerator<SnapshotPiece>
  /** `pg_snapshot` as text: exactly the transactions that commit before the slot's consistent point are visible in it. */
  readonly visible: string
  close(): void
}

export interface SnapshotOptions {
  readonly databaseUrl: string
  readonly applicationName: string
  /** As CREATE_REPLICATION_SLOT gave it. */
  readonly snapshotName: string
  readonly consistentPoint: Lsn
  /** In the order in which they are read. */
  readonly tables: readonly string[]
  readonly includesGenerated?: boolean
  /** Size of a piece, about; default 2 MiB. Rows fetched at a time follow from it, between 10 and 10,000. */
  readonly pieceBytes?: number
}

const FIRST_FETCH_ROWS = 200
const MIN_FETCH_ROWS = 10
const MAX_FETCH_ROWS = 10_000
const EVENT_OVERHEAD_BYTES = 300

interface TableRow {
  readonly relation: Relation
  readonly texts: ResultRow
}

/**
 * Takes hold of the exported snapshot; after that the connection that exported it may go on. One connection holds the snapshot and
 * touches no table, another reads each table in a transaction of its own: so never more than one table is locked, a TRUNCATE of several
 * cannot end in a deadlock with us, and none waits longer than its own table takes.
 *
 * @throws TrackOpsError
 */
export async function openSnapshot(
  deps: { readonly sql: Sql; readonly catalog: Catalog },
  options: SnapshotOptions,
): Promise<Snapshot> {
  const { databaseUrl, applicationName } = options
  const connect = (): Promise<ReplicationConnection> =>
    connectReplication({ databaseUrl, applicationName, isReplication: false })
  const holder = await connect()
  const close = (): void => {
    holder.close()
    reader?.close()
  }
  let reader: ReplicationConnection | undefined
  try {
    reader = await connect()
    for (const connection of [holder, reader]) {
      // it begins to run with the transaction: later would be too late
      if (connection.serverVersion >= 170_000) await connection.query('SET transaction_timeout = 0')
      await connection.query('SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0')
    }
    await begin(holder, options.snapshotName)
    const [held] = await holder.query('select pg_export_snapshot(), pg_current_snapshot()::text')
    const [name, visible] = [held?.[0] ?? '', held?.[1] ?? '']
    const transaction = await describeTransaction(deps.sql, holder, options.consistentPoint)
    const from: SnapshotConnections = { holder, reader, name }
    return { visible, pieces: () => readPieces(deps, from, transaction, options), close }
  } catch (error) {
    close()
    throw error
  }
}

interface SnapshotConnections {
  readonly holder: ReplicationConnection
  readonly reader: ReplicationConnection
  /** As the holder exports it. */
  readonly name: string
}

async function begin(connection: ReplicationConnection, snapshotName: string): Promise<void> {
  await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  await connection.query(`SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshotName)}`)
}

/**
 * The xid is taken in a transaction of its own, not in the one that reads: with an xid, that would keep every other slot
 * from being created until the snapshot is done. It is as young as the snapshot, which is all that is asked of it.
 */
async function describeTransaction(sql: Sql, connection: ReplicationConnection, lsn: Lsn): Promise<Transaction> {
  const [time] = await connection.query(`select (extract(epoch from current_timestamp) * 1000000)::bigint`)
  try {
    const [row] = await sql<{ xid: string }[]>`select pg_current_xact_id()::text as xid`
    return {
      xid: Number(BigInt(row?.xid ?? '0') & 0xffff_ffffn),
      commitLsn: lsn,
      commitTimeMicros: BigInt(time?.[0] ?? '0'),
      previousCommitEndLsn: null,
      origin: null,
    }
  } catch (error) {
    throw toCaptureError(error, 'taking a transaction id for the snapshot')
  }
}

async function* readPieces(
  deps: { readonly sql: Sql; readonly catalog: Catalog },
  { holder, reader, name }: SnapshotConnections,
  transaction: Transaction,
  options: SnapshotOptions,
): AsyncGenerator<SnapshotPiece> {
  const markers = createSnapshotMarkers<TableRow>()
  const pieceBytes = options.pieceBytes ?? 2 * 1024 * 1024
  // a commit record may lie exactly at the consistent point: the snapshot's positions come before it
  const positionLsn = toLsn(transaction.commitLsn - 1n)
  let ordinal = 0
  let changes: SnapshotRead[] = []
  let bytes = 0

  function add(marked: MarkedRow<TableRow> | null): void {
    if (!marked) return
    const { relation, texts } = marked.row
    changes.push({
      op: 'r',
      position: { commitLsn: positionLsn, ordinal: ++ordinal },
      lsn: transaction.commitLsn,
      transaction,
      relation,
      after: { kind: 'complete', relation, texts },
      marker: marked.marker,
    })
    bytes += textBytes(texts) + EVENT_OVERHEAD_BYTES
  }
  function takePiece(isLast: boolean): SnapshotPiece {
    const piece: SnapshotPiece = { kind: 'snapshot', changes, isLast, bytes }
    changes = []
    bytes = 0
    return piece
  }

  for (const [tableIndex, [schema, table]] of options.tables.map(splitTableName).entries()) {
    const relation = await deps.catalog.resolve(
      await describeTable(deps.sql, schema, table, options.includesGenerated ?? false),
    )
    const columns = relation.columns.map((column) => quoteIdentifier(column.name)).join(', ')
    await begin(reader, name)
    await reader.query(
      `DECLARE trackops_snapshot NO SCROLL CURSOR FOR SELECT ${columns} FROM ${quoteIdentifier(schema)}.${quoteIdentifier(table)}`,
    )
    for (let fetchRows = FIRST_FETCH_ROWS; ;) {
      const rows = await reader.query(`FETCH ${fetchRows} FROM trackops_snapshot`)
      const bytesBefore = bytes
      for (const texts of rows) add(markers.push(tableIndex, { relation, texts }))
      const rowBytes = (bytes - bytesBefore) / Math.max(1, rows.length)
      if (changes.length > 0 && bytes >= pieceBytes / 2) yield takePiece(false)
      if (rows.length < fetchRows) break
      fetchRows = Math.min(MAX_FETCH_ROWS, Math.max(MIN_FETCH_ROWS, Math.floor(pieceBytes / Math.max(1, rowBytes))))
    }
    await reader.query('COMMIT')
  }
  add(markers.finish())
  reader.close()
  holder.close()
  yield takePiece(true)
}

function textBytes(texts: ResultRow): number {
  let bytes = 0
  for (const text of texts) bytes += text === null ? 8 : text.length
  return bytes
}
