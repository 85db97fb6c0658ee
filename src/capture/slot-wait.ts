import type { Sql } from 'postgres'

import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import type { ReplicationConnection } from './replication-connection.ts'

/** First word after this, then again at this pace. */
const REPORT_INTERVAL_MS = 3000

interface SlotWaitDeps {
  readonly sql: Sql
  readonly log: Logger
  readonly connection: ReplicationConnection
}

/**
 * A slot's creation waits for every transaction that has written and not ended yet; one that hangs (an idle session, a commit that
 * waits for a synchronous standby) holds it for ever. So we say what we wait for, and give up after the time.
 *
 * @throws TrackOpsError TIMEOUT; and what `create` throws
 */
export async function whileNamingWhatWeWaitFor<T>(
  deps: SlotWaitDeps,
  options: { readonly slot: string; readonly timeoutMs: number },
  create: () => Promise<T>,
): Promise<T> {
  const { slot, timeoutMs } = options
  const startedMs = performance.now()
  let isTimedOut = false
  const timer = setInterval(() => void report(), Math.min(REPORT_INTERVAL_MS, timeoutMs))

  async function report(): Promise<void> {
    const waitedMs = Math.round(performance.now() - startedMs)
    try {
      const transactions = await readOpenTransactions(deps.sql, deps.connection.processId)
      deps.log.warn(
        { slot, waitedMs, transactions },
        'the slot is made once these open transactions have ended: waiting',
      )
      if (waitedMs < timeoutMs) return
      isTimedOut = true
      await deps.sql`select pg_cancel_backend(${deps.connection.processId})`
    } catch (error) {
      deps.log.warn({ slot, waitedMs, error: String(error) }, 'cannot tell what the slot waits for')
      if (waitedMs >= timeoutMs) deps.connection.close()
    }
  }

  try {
    return await create()
  } catch (error) {
    if (!isTimedOut) throw error
    throw new TrackOpsError(
      'TIMEOUT',
      `replication slot ${slot} could not be made within ${timeoutMs} ms: transactions are open that do not end`,
      { details: { slot, timeoutMs }, cause: error },
    )
  } finally {
    clearInterval(timer)
  }
}

/** Never their SQL: it holds values. */
async function readOpenTransactions(sql: Sql, ownPid: number): Promise<readonly object[]> {
  return sql<object[]>`
    select pid, usename::text as role, application_name as "applicationName", state, wait_event as "waitEvent",
           extract(epoch from now() - xact_start)::int as "ageSeconds"
      from pg_stat_activity
     where backend_xid is not null and pid <> ${ownPid}
    union all
    select null, owner::text, 'prepared transaction', null, null, extract(epoch from now() - prepared)::int
      from pg_prepared_xacts
     order by "ageSeconds" desc limit 5`
}
