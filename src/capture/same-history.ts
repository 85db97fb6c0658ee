import type { Sql } from 'postgres'

import type { History } from '../change/change-event.ts'
import type { Lsn } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { ReplicationConnection } from './replication-connection.ts'
import { identifySystem, readSlot } from './slot.ts'

/**
 * Before a stream is continued on a new connection: who answers at this address may be another server by now, or this one after a
 * restore, and the slot may have been made again behind our back. A slot that confirmed more than we ever acked is not ours, and a WAL
 * that ends before what we received is not the one that it came from.
 *
 * @throws TrackOpsError HISTORY_CHANGED, SLOT_LOST, POSTGRES_UNREACHABLE, ...
 */
export async function requireSameHistory(
  deps: { readonly sql: Sql; readonly connection: ReplicationConnection },
  expected: { readonly history: History; readonly slot: string; readonly ackedLsn: Lsn; readonly receivedLsn: Lsn },
): Promise<void> {
  const { history, slot, ackedLsn, receivedLsn } = expected
  const { systemIdentifier, timeline, walLsn } = await identifySystem(deps.connection)
  if (systemIdentifier !== history.systemIdentifier || timeline !== history.timeline) {
    throw new TrackOpsError('HISTORY_CHANGED', 'another database cluster, or another timeline, answers now', {
      details: {
        systemIdentifier,
        timeline,
        expectedSystemIdentifier: history.systemIdentifier,
        expectedTimeline: history.timeline,
      },
    })
  }
  const found = await readSlot(deps.sql, slot)
  const isAhead = (found?.confirmedFlushLsn ?? ackedLsn) > ackedLsn
  const isTakenBack = walLsn < receivedLsn
  if (found?.isUsable && found.invalidation === null && !isAhead && !isTakenBack) return
  throw new TrackOpsError('SLOT_LOST', `replication slot ${slot} is gone, invalidated, or not the one that it was`, {
    details: { slot, invalidation: found?.invalidation ?? null, isAhead, isTakenBack },
  })
}
