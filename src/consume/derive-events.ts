import type { ChangeEvent, StreamItem } from '../change/change-event.ts'
import { formatLsn } from '../change/lsn.ts'
import { formatPosition } from '../change/position.ts'
import { qualifiedName } from '../change/relation.ts'
import { valuesOf } from '../change/value.ts'
import type { DeadLetter } from '../log/dead-letters.ts'
import type { DomainEvent } from '../log/domain-event.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { EventDefinition, RowChangeView } from './event-definition.ts'

export interface DerivedEvents {
  readonly events: readonly DomainEvent[]
  /** Transactions that the events come from. */
  readonly xids: ReadonlySet<number>
  /** Changes whose definition threw, set aside (L4). */
  readonly deadLetters: readonly DeadLetter[]
}

/** Pure: changes in, the events that they mean out, in order. Snapshot rows, truncates and messages mean none. */
export function deriveEvents(
  items: readonly StreamItem[],
  definitions: readonly EventDefinition[],
  consumer: string,
): DerivedEvents {
  const events: DomainEvent[] = []
  const deadLetters: DeadLetter[] = []
  const xids = new Set<number>()
  for (const item of items) {
    if (item.kind !== 'transaction') continue
    for (const change of item.changes) {
      if (change.op === 't' || change.op === 'm' || change.op === 'r') continue
      const table = qualifiedName(change.relation)
      for (const definition of definitions) {
        if (definition.table !== table) continue
        try {
          const derived = definition.derive(viewOf(change, definition.columns))
          if (derived.length === 0) continue
          events.push(...derived)
          xids.add(item.transaction.xid)
        } catch (error) {
          deadLetters.push(letterFor(change, definition, consumer, error))
          xids.add(item.transaction.xid)
        }
      }
    }
  }
  return { events, xids, deadLetters }
}

type RowChange = Exclude<ChangeEvent, { op: 't' | 'm' }>

function viewOf(change: RowChange, columns: readonly string[]): RowChangeView {
  const before = change.op === 'u' || change.op === 'd' ? change.before : null
  const after = change.op === 'd' ? null : change.after
  return {
    op: change.op,
    before: before === null ? null : (valuesOf(before, columns) ?? null),
    after: after === null ? null : (valuesOf(after, columns) ?? null),
    source: {
      lsn: formatLsn(change.lsn),
      txId: change.transaction.xid,
      commitTime: new Date(Number(change.transaction.commitTimeMicros / 1000n)).toISOString(),
    },
  }
}

function letterFor(change: RowChange, definition: EventDefinition, consumer: string, error: unknown): DeadLetter {
  const known = error instanceof TrackOpsError ? error : undefined
  const kind = error instanceof Error ? error.name : 'something that is not an error'
  return {
    consumer,
    source: definition.table,
    position: formatPosition(change.position),
    subject: {
      kind: 'row',
      topic: definition.topic,
      table: definition.table,
      change: readable(change, definition.columns),
    },
    errorCode: known?.code ?? 'EVENT_FAILED',
    errorMessage: known?.message ?? `the event definition of ${definition.table} threw ${kind}`,
    attempts: 1,
  }
}

/** null if the row itself can't be read: then there is nothing to derive from again. */
function readable(change: RowChange, columns: readonly string[]): RowChangeView | null {
  try {
    return viewOf(change, columns)
  } catch {
    return null
  }
}
