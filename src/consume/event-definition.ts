import type { TransactionSql } from 'postgres'

import type { Row } from '../cache/view.ts'
import type { DomainEvent } from '../log/domain-event.ts'

/** Domain events that are derived from one table's changes. */
export interface EventDefinition {
  /** `order-events` */
  readonly topic: string
  /** `public.orders` */
  readonly table: string
  /** The columns that `derive` looks at, in the old and in the new row. */
  readonly columns: readonly string[]
  /**
   * Pure: a change in, the events that it means out. Called for every insert, update and delete, in order; and, after a slot
   * was lost, with op `r` for rows that changed meanwhile: give the events that such a row must have had, those
   * that were published are not published again.
   */
  readonly derive: (change: RowChangeView) => readonly DomainEvent[]
  /**
   * Adds what only the database knows, for many events at once, in the publishing transaction. What it adds at the
   * first publication counts.
   */
  readonly enrich?: (sql: TransactionSql, events: readonly DomainEvent[]) => Promise<readonly DomainEvent[]>
}

export interface RowChangeView {
  readonly op: 'c' | 'u' | 'd' | 'r'
  /** null if there was none, or the event lacks one of the columns (replica identity). */
  readonly before: Row | null
  readonly after: Row | null
  readonly source: { readonly lsn: string; readonly txId: number; readonly commitTime: string }
}
