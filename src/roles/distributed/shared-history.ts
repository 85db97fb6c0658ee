import type { Sql } from 'postgres'

import type { History } from '../../change/change-event.ts'
import { createVisibility, readDatabaseHistory, type Visibility } from '../../consume/visibility.ts'

/** A topic does not say of which history its LSNs and xids are: the database does, asked once for all partitions. */
export interface SharedHistory {
  current(): Promise<{ readonly database: DatabaseHistory; readonly visibility: Visibility }>
  /** The database was found to be of another: whoever asks next gets that. */
  renew(): void
}

export type DatabaseHistory = Pick<History, 'systemIdentifier' | 'timeline'>

export function createSharedHistory(sql: Sql): SharedHistory {
  let current: ReturnType<SharedHistory['current']> | undefined

  async function ask(): Promise<{ readonly database: DatabaseHistory; readonly visibility: Visibility }> {
    const database = await readDatabaseHistory(sql)
    return { database, visibility: createVisibility({ sql, history: { ...database, slotEpoch: '' } }) }
  }

  return {
    async current() {
      const asked = (current ??= ask())
      try {
        return await asked
      } catch (error) {
        if (current === asked) current = undefined
        throw error
      }
    },
    renew() {
      current = undefined
    },
  }
}
