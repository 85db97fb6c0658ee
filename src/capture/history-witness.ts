import type { Sql } from 'postgres'

import { type Lsn, parseLsn } from '../change/lsn.ts'
import { toCaptureError } from './postgres-error.ts'
import type { LedgerEntry } from './slot-ledger.ts'

/**
 * What is known outside of the database of how far its history went. A database that is put back to an older copy of itself may have
 * the same identifier, timeline and slot: nothing in it says that there was more, and it gives the same LSNs to other changes.
 */
export interface HistoryWitness {
  /** null: it knows of none. @throws where it does not answer */
  read(): Promise<Witnessed | null>
  note(followed: Pick<Witnessed, 'slotEpoch' | 'connections'>): Promise<void>
}

export interface Witnessed {
  readonly slotEpoch: string
  /** As the ledger counted them. */
  readonly connections: number
  /** The greatest of which there are effects. */
  readonly lsn: Lsn
}

/** Pure. A copy that was taken while the same connection was open shows only by a WAL that ends too early. */
export function isTakenBack(witnessed: Witnessed, ledger: LedgerEntry, walLsn: Lsn): boolean {
  return (
    witnessed.slotEpoch !== ledger.history.slotEpoch ||
    ledger.connections < witnessed.connections ||
    walLsn < witnessed.lsn
  )
}

/** Where the server's WAL ends. @throws TrackOpsError */
export async function readWalEnd(sql: Sql): Promise<Lsn> {
  try {
    const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
    return parseLsn(row?.lsn ?? '0/0')
  } catch (error) {
    throw toCaptureError(error, 'asking where the WAL ends')
  }
}
