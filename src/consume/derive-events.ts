import type { ChangeEvent, StreamItem } from '../change/change-event.ts'
import { formatLsn } from '../change/lsn.ts'
import { formatPosition, type Position } from '../change/position.ts'
import { qualifiedName } from '../change/relation.ts'
import { valuesOf } from '../change/value.ts'
import type { DeadLetter } from '../log/dead-letters.ts'
import type { DomainEvent } from '../log/domain-event.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { EventDefinition, RowChangeView } from './event-definition.ts'

/** An event and where it comes from, for the case that it cannot be published. */
export interface DerivedEvent extends Origin {
  readonly event: DomainEvent
}

export interface Origin {
  readonly definition: EventDefinition
  /** null if the row itself can't be read: then there is nothing to derive from again. */
  readonly change: RowChangeView | null
  /** Names the change in a dead letter. */
  readonly position: Position | string
}

export interface DerivedEvents {
  readonly events: readonly DerivedEvent[]
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
  const events: DerivedEvent[] = []
  const deadLetters: DeadLetter[] = []
  const xids = new Set<number>()
  for (const item of items) {
    if (item.kind !== 'transaction') continue
    for (const change of item.changes) {
      if (change.op === 't' || change.op === 'm' || change.op === 'r') continue
      const table = qualifiedName(change.relation)
      for (const definition of definitions) {
        if (definition.table !== table) continue
        const derived = deriveFrom(definition, change.position, () => viewOf(change, definition.columns))
        if ('error' in derived) deadLetters.push(letterFor(derived, consumer, derived.error))
        else if (derived.length === 0) continue
        else for (const one of derived) events.push(one)
        xids.add(item.transaction.xid)
      }
    }
  }
  return { events, xids, deadLetters }
}

/** What one definition makes of one change; what it throws, and what it gives that is no event, is an error of its own. */
export function deriveFrom(
  definition: EventDefinition,
  position: Position | string,
  read: () => RowChangeView,
): readonly DerivedEvent[] | (Origin & { readonly error: unknown }) {
  let change: RowChangeView | null = null
  try {
    const read_ = read()
    change = read_
    return definition.derive(read_).map((event) => {
      assertEvent(event, definition)
      return { event, definition, change: read_, position }
    })
  } catch (error) {
    return { definition, change, position, error }
  }
}

/** Of a change whose events could not be derived or published. Names what threw, never what it said. */
export function letterFor({ definition, change, position }: Origin, consumer: string, error: unknown): DeadLetter {
  const { table, topic } = definition
  const known = error instanceof TrackOpsError ? error : undefined
  const kind = error instanceof Error ? error.name : 'something that is not an error'
  return {
    consumer,
    source: table,
    position: typeof position === 'string' ? position : formatPosition(position),
    subject: { kind: 'row', topic, table, change },
    errorCode: known?.code ?? 'EVENT_FAILED',
    errorMessage: known?.message ?? `the event definition of ${table} threw ${kind}`,
    attempts: 1,
  }
}

/** Found where it is derived, it harms its own change; found by the database, it would harm all that are written with it. */
function assertEvent(event: DomainEvent, { table }: EventDefinition): void {
  const { eventId, topic, key, payload } = event
  const isNamed = [eventId, topic, key].every((text) => typeof text === 'string')
  if (isNamed && eventId !== '' && typeof payload === 'object' && (payload as unknown) !== null) return
  throw new TrackOpsError(
    'EVENT_FAILED',
    `the event definition of ${table} gave something that is not an event: expected eventId, topic, key and payload`,
  )
}

function viewOf(change: Exclude<ChangeEvent, { op: 't' | 'm' }>, columns: readonly string[]): RowChangeView {
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
