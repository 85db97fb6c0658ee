import type { Sql } from 'postgres'

import type { DeadLetter } from '../log/dead-letters.ts'
import { insertDeadLetters } from '../log/dead-letters.ts'
import { skipSequenceNumbers } from '../log/domain-event-table.ts'
import { moveLogPosition, readLogPosition, type StoredLogPosition } from '../log/positions.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { DerivedEvent } from './derive-events.ts'
import { publishEvents } from './publish-events.ts'

/** Where derived events go, together with the position that they come from: both or neither. */
export interface EventStore {
  /** Whether it keeps below which transaction all was processed; then it is worth finding out. */
  readonly keepsHorizon: boolean
  read(): Promise<StoredLogPosition | undefined>
  /** What is published from now on must not get a number that an event had in a history that is gone. */
  beginHistory(): Promise<void>
  /**
   * Gives what was set aside.
   *
   * @throws TrackOpsError POSITION_MISMATCH if another position is stored than `from`: somebody else owns it now
   */
  write(move: PositionMove, derived: Derived): Promise<readonly DeadLetter[]>
}

export interface PositionMove {
  /** null: none is stored. */
  readonly from: string | null
  readonly to: string
  readonly horizon: bigint | null
}

export interface Derived {
  readonly events: readonly DerivedEvent[]
  readonly deadLetters: readonly DeadLetter[]
}

/** In PostgreSQL: the events' table and the position change in one transaction. */
export function createTableEventStore(sql: Sql, consumer: string): EventStore {
  return {
    keepsHorizon: true,

    read: () => readLogPosition(sql, consumer),

    beginHistory: () => skipSequenceNumbers(sql),

    async write(move, { events, deadLetters }) {
      return await sql.begin(async (tx) => {
        // Nothing is lost with a position that a crash takes back, and it must not wait for a standby that is away.
        if (events.length === 0 && deadLetters.length === 0) await tx`set local synchronous_commit = local`
        if (!(await moveLogPosition(tx, consumer, move))) {
          throw new TrackOpsError('POSITION_MISMATCH', `${consumer}: another process has moved the position`)
        }
        await insertDeadLetters(tx, deadLetters)
        const published = await publishEvents(tx, events, consumer)
        return [...deadLetters, ...published.deadLetters]
      })
    },
  }
}
