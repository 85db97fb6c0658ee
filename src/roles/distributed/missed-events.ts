/** What the order-event-consumer needs to know of what no topic tells: which rows changed while there was no slot. */
import type { Sql } from 'postgres'

import { formatLsn, type Lsn } from '../../change/lsn.ts'
import type { EventDefinition } from '../../consume/event-definition.ts'
import { publishMissedEvents } from '../../consume/missed-events.ts'
import type { Seen, Visibility } from '../../consume/visibility.ts'
import { toRecord } from '../../log/kafka/event-record.ts'
import type { KafkaClients } from '../../log/kafka/kafka-clients.ts'
import { toKafkaError } from '../../log/kafka/kafka-error.ts'
import { readLogPosition } from '../../log/positions.ts'
import { claimedEvents, claimEvents } from '../../log/published-events.ts'
import { describeError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { LogProgress } from './log-progress.ts'

interface Deps {
  readonly sql: Sql
  readonly log: Logger
}

const NAME = 'order-event-consumer'
/** Of pg_advisory_xact_lock, beside those of the log's tables. */
const LOCK = 4
const PUBLISH_AT_ONCE = 500

/**
 * Publishes, once for each new slot, what rows that changed unseen must have meant (consume/missed-events.ts). All partitions meet the
 * snapshot; the first of them does it, and the others wait. The very first slot has missed nothing. A process that is killed
 * in between leaves it to the next, which may put an event on its topic a second time: receivers know it by its id.
 */
export async function recoverMissedEvents(
  deps: Deps & { readonly clients: KafkaClients },
  definitions: readonly EventDefinition[],
  consistentPoint: Lsn,
  signal: AbortSignal,
): Promise<void> {
  const { sql, log } = deps
  const slot = formatLsn(consistentPoint)
  await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(7310579, ${LOCK})`
    const known = await readLogPosition(sql, NAME)
    if (known?.position === slot) return
    if (known && known.horizon !== null) {
      log.warn({ horizon: known.horizon.toString() }, 'the slot was made anew: looking for rows without their events')
      await publish(deps, definitions, { slot, horizon: known.horizon }, signal)
    }
    await tx`
      insert into trackops.positions (consumer, position) values (${NAME}, ${slot})
      on conflict (consumer) do update set position = excluded.position, updated_at = now()`
  })
}

async function publish(
  { sql, log, clients }: Deps & { readonly clients: KafkaClients },
  definitions: readonly EventDefinition[],
  { slot, horizon }: { readonly slot: string; readonly horizon: bigint },
  signal: AbortSignal,
): Promise<void> {
  const source = `missed before ${slot}`
  await publishMissedEvents(
    {
      sql,
      log,
      insert: (tx, events) =>
        claimEvents(
          tx,
          source,
          events.map((event) => ({ ...event, recordOffset: 0n })),
        ),
    },
    definitions,
    horizon,
    signal,
  )
  const events = await claimedEvents(sql, source, { from: 0n, to: 1n })
  if (events.length === 0) return
  const producer = clients.producer()
  try {
    for (let from = 0; from < events.length; from += PUBLISH_AT_ONCE) {
      await producer.send({ messages: events.slice(from, from + PUBLISH_AT_ONCE).map(toRecord) })
    }
  } catch (error) {
    throw toKafkaError(error, 'publishing events of rows that changed unseen')
  } finally {
    await producer.close(true).catch(() => undefined)
  }
}

/** What counts until more is known: a slot that is lost within the first seconds would take its events along. */
export async function storeFirstHorizon(sql: Sql): Promise<void> {
  await sql`
    insert into trackops.positions (consumer, position, horizon)
    values (${NAME}, '', pg_snapshot_xmin(pg_current_snapshot())) on conflict (consumer) do nothing`
}

/**
 * Keeps below which transaction the group has processed all: a snapshot is taken, with the WAL position after it, and counts once the
 * group has passed that position, and another one after it. For a slot that was dropped and made anew begins beyond changes that it
 * never had, and looks as if the group had passed them; but its next step comes after the connector's snapshot in the topics, whose
 * rows have made recoverMissedEvents use the horizon of before. One look every few seconds.
 */
export function createEventHorizon(
  deps: Deps & { readonly progress: LogProgress; readonly visibility: () => Promise<Visibility> },
): { look(): Promise<void> } {
  let candidate: Seen | undefined
  /** Where the group was when it had first passed the candidate. */
  let passedAt: Lsn | null = null
  return {
    async look() {
      try {
        candidate ??= await (await deps.visibility()).look()
        const reached = await deps.progress.reached()
        if (reached === null || reached < candidate.insertLsn) {
          passedAt = null
          return
        }
        passedAt ??= reached
        if (reached === passedAt) return
        const horizon = candidate.snapshot.xmin.toString()
        candidate = undefined
        passedAt = null
        await deps.sql`
          insert into trackops.positions (consumer, position, horizon) values (${NAME}, '', ${horizon}::text::xid8)
          on conflict (consumer) do update set horizon = excluded.horizon, updated_at = now()`
      } catch (error) {
        deps.log.debug({ error: describeError(error) }, 'the horizon of events is not known at the moment')
      }
    },
  }
}
