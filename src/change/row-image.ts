import type { Relation } from './relation.ts'

/**
 * A row as an event carries it: the text form of each column, null for SQL NULL. Texts, not values: most columns of
 * most events are never looked at, and every encoding (a view's document, Debezium's JSON) starts from the same text.
 *
 * A partial row lacks some columns: an unchanged TOAST value that the server did not send, or all but the replica
 * identity of an old row. It is a type of its own because it is not a row (L3): it may refresh or invalidate, and
 * can never become a cached value without the columns that a view reads.
 */
export type RowImage = CompleteRow | PartialRow

export type ColumnText = string | null

export interface CompleteRow {
  readonly kind: 'complete'
  readonly relation: Relation
  readonly texts: readonly ColumnText[]
}

export interface PartialRow {
  readonly kind: 'partial'
  readonly relation: Relation
  /** undefined where the event does not have the column. */
  readonly texts: readonly (ColumnText | undefined)[]
}

/** undefined if the image lacks the column, whether the table does not have it or the event did not carry it. */
export function columnText(row: RowImage, column: string): ColumnText | undefined {
  const index = row.relation.columnIndex.get(column)
  return index === undefined ? undefined : row.texts[index]
}
