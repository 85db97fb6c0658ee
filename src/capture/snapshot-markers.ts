import type { SnapshotMarker } from '../change/change-event.ts'

/**
 * Debezium's marker of each snapshot row (debezium-events.md 1.5), which depends on what follows it: the last row of all is `last`,
 * also when empty tables follow. So one row is always held back, across tables. Pure.
 */
export interface MarkedRow<Row> {
  readonly row: Row
  readonly marker: SnapshotMarker
}

export interface SnapshotMarkers<Row> {
  /** `tableIndex` counts all tables in snapshot order, empty ones too. Gives the row before, now that it is no longer the last. */
  push(tableIndex: number, row: Row): MarkedRow<Row> | null
  /** The very last row, null if there was none. */
  finish(): MarkedRow<Row> | null
}

export function createSnapshotMarkers<Row>(): SnapshotMarkers<Row> {
  let held: { readonly row: Row; readonly tableIndex: number; readonly isFirstOfTable: boolean } | null = null

  return {
    push(tableIndex, row) {
      const before = held
      held = { row, tableIndex, isFirstOfTable: before?.tableIndex !== tableIndex }
      if (!before) return null
      return { row: before.row, marker: marker(before.tableIndex, before.isFirstOfTable, held.isFirstOfTable) }
    },
    finish() {
      const last = held
      held = null
      return last && { row: last.row, marker: 'last' }
    },
  }
}

function marker(tableIndex: number, isFirstOfTable: boolean, isLastOfTable: boolean): SnapshotMarker {
  if (isFirstOfTable && tableIndex === 0) return 'first'
  if (isLastOfTable) return 'last_in_data_collection'
  return isFirstOfTable ? 'first_in_data_collection' : 'true'
}
