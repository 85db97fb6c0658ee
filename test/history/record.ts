/**
 * The record of a run: what clients asked for and what they were answered, one JSON line each, in the order in which they completed. All
 * times are microseconds of one monotonic clock, so "before" means before.
 */

/** Time of a row's last change, microseconds: the row's trigger stamps it under the row's lock, so it grows with the row's version. */
export type At = number

/** `raw`: GET and HGETALL on Redis. `sql`: the database itself. */
export type Door = 'http' | 'sdk' | 'raw' | 'sql'

interface Timed {
  readonly invokedUs: number
  readonly completedUs: number
}

/** Somebody changed a row. `unknown`: no answer came, so it may have happened, or may still. */
export interface WriteRecord extends Timed {
  readonly op: 'write'
  readonly door: Door
  readonly row: string
  readonly outcome: 'ok' | 'unknown'
  /** What the row shows since; `gone` for a deletion, null if it is unknown. A row that is gone never comes back. */
  readonly at: At | 'gone' | null
}

/** From here on the row may be gone: whoever is answered before the deletion completes may have seen it. */
export interface DeletingRecord extends Timed {
  readonly op: 'deleting'
  readonly row: string
}

/** Somebody was answered. A miss of a raw read is no answer, and no record. */
export interface ReadRecord extends Timed {
  readonly op: 'read'
  readonly door: Door
  /** `entity:<row>`, `status:<row>`, `list:<row>`: each is a key of its own, one may be ahead of another. */
  readonly key: string
  readonly row: string
  readonly at: At | 'absent'
  /** The read presented the token of a write, which made this. */
  readonly token?: At | 'gone'
  /** hit, miss or bypass, where the door tells: for the story only. */
  readonly source?: string
}

/** A consumer of the cache has processed all writes that completed before `invokedUs`; it was known at `completedUs`. */
export interface ProcessedRecord extends Timed {
  readonly op: 'processed'
}

/** The beginning or the end of a fault's window. */
export interface FaultRecord extends Timed {
  readonly op: 'fault'
  readonly name: string
  readonly phase: 'begin' | 'end'
  /** Until consumers have caught up again, what is cached may be older than what they had processed before. */
  readonly losesRedis: boolean
  /** Redis lost writes and kept its connections, so that readers notice it a moment later. */
  readonly isQuiet?: boolean
  /** The services begin anew: they know nothing of what they had answered. */
  readonly restartsServices?: boolean
  /** Until every reader uses Redis again: one that can't answers from the database, and can't tell the others. */
  readonly cutsReaders: boolean
}

/** At rest: what the database holds while nobody writes and everything is processed. */
export interface TruthRecord extends Timed {
  readonly op: 'truth'
  readonly row: string
  readonly at: At | 'gone'
}

/** Others than the recorded clients change this row too: not every value has a write in the record. */
export interface SharedRowRecord extends Timed {
  readonly op: 'shared'
  readonly row: string
}

/** Nobody asks for the row any more: it is forgotten. */
export interface RetiredRecord extends Timed {
  readonly op: 'retired'
  readonly row: string
}

/** At the end: how often each of a row's effects happened, and how often it had to. */
export interface EffectRecord extends Timed {
  readonly op: 'effect'
  readonly row: string
  readonly effect: string
  readonly happened: number
  readonly expected: number
}

export type HistoryRecord =
  | WriteRecord
  | DeletingRecord
  | ReadRecord
  | ProcessedRecord
  | FaultRecord
  | TruthRecord
  | SharedRowRecord
  | RetiredRecord
  | EffectRecord

export function formatRecord(record: HistoryRecord): string {
  return `${JSON.stringify(record)}\n`
}

export function parseRecords(text: string): HistoryRecord[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as HistoryRecord)
}

export const nowUs = (): number => Math.round(performance.now() * 1000)
