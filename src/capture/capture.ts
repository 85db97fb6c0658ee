import type { History, StreamItem } from '../change/change-event.ts'
import type { Lsn } from '../change/lsn.ts'

/**
 * From PostgreSQL to change events: the slot and publication looked after, the snapshot joined to the stream without gap
 * or overlap, the connection made anew when it breaks.
 *
 * Three positions, three names (L1). received: has arrived here. applied: its effects are safe downstream; only the
 * consumer knows. acked: told to PostgreSQL, which then may forget the WAL. Only what was applied is ever acked, and keep-alives are
 * answered on time however slow the consumer is, always with the acked position.
 */
export interface Capture {
  readonly history: History
  /** Where the slot stood when it was opened: nothing before this LSN can be had again. */
  readonly resumeLsn: Lsn
  /** Why this capture begins with a snapshot, if it does. slot-lost: there was a slot before, and changes were missed. */
  readonly snapshot: 'none' | 'initial' | 'slot-lost'
  /**
   * Of a slot that was made now: the `pg_snapshot`, as text, in which exactly those transactions are visible that come by no event,
   * as they committed before its first position. Null for a slot that continues, and where no snapshot was asked for.
   */
  readonly visibleBefore: string | null
  /**
   * One consumer. Pull is back-pressure: what is not pulled stays in the server. After a broken connection, or `rewind`, the
   * stream continues from the acked position, so changes come again: compare positions.
   *
   * @throws TrackOpsError SLOT_LOST, HISTORY_CHANGED, PUBLICATION_MISSING and other `manual` ones: open a new capture
   */
  stream(signal: AbortSignal): AsyncIterable<StreamItem>
  /** The same, as many items at a time as have arrived: an item a time costs a small transaction as much as its decoding. */
  batches(signal: AbortSignal): AsyncIterable<readonly StreamItem[]>
  /** Everything before `lsn` is applied; told to the server soon, and at least every status interval. Never moves back. */
  ack(lsn: Lsn): void
  /** Asks the server how far it has got; a `progress` item follows soon, on an idle database too (L7). */
  requestProgress(): void
  /** Drops the connection and continues from the acked position: Redis has lost writes (L2). */
  rewind(): void
  status(): CaptureStatus
  close(): Promise<void>
}

export interface CaptureStatus {
  readonly state: 'connecting' | 'snapshot' | 'streaming' | 'closed'
  readonly receivedLsn: Lsn
  readonly ackedLsn: Lsn
  /** The server's WAL end as of its last message. */
  readonly serverLsn: Lsn
  readonly reconnections: number
}
