import type { Sql } from 'postgres'

import { waitFor } from './wait-for.ts'

/**
 * Resolves when commits wait for the synchronous standby that was just demanded. That a session sees the setting is not enough: they
 * begin to wait when the checkpointer has seen it. Tried with messages in the log, the last of which is let go again.
 */
export async function untilCommitsWait(sql: Sql): Promise<void> {
  for (;;) {
    let hasCommitted = false
    const probe = sql`select pg_logical_emit_message(true, 'commits-wait', '')`.then(() => (hasCommitted = true))
    const found = await waitFor(
      async () => {
        if (hasCommitted) return 'committed'
        const cancelled = await sql`
          select pg_cancel_backend(pid) from pg_stat_activity
          where wait_event = 'SyncRep' and query like '%commits-wait%' and datname = current_database()`
        return cancelled.length > 0 ? 'waited' : undefined
      },
      { what: 'a commit to wait for the standby, or not to' },
    )
    await probe
    if (found === 'waited') return
  }
}
