import type { Sql } from 'postgres'

import type { RefillKey } from '../cache/protocol.ts'
import type { CompiledViews } from '../cache/compiled-view.ts'
import type { EventDefinition } from '../consume/event-definition.ts'
import { findDeadLetter, markReplayed, requestReplay, type StoredDeadLetter } from '../log/dead-letters.ts'
import { insertDomainEvents } from '../log/domain-event-table.ts'
import { pause } from '../runtime/backoff.ts'

export interface ReplayDeps {
  readonly sql: Sql
  readonly views: CompiledViews
  readonly definitions: readonly EventDefinition[]
  /** Deletes what is at the keys and fills them through leases. Resolves to the keys that could not be. */
  readonly refresh: (keys: readonly RefillKey[]) => Promise<readonly string[]>
  readonly signal: AbortSignal
}

export type ReplayOutcome =
  | { readonly kind: 'replayed' }
  /** A running service will do it: only it can have the effect. */
  | { readonly kind: 'requested' }
  | { readonly kind: 'failed'; readonly reason: string }

/** How long a running service is given to take up a request, before that is left to it. */
const WAIT_FOR_SERVICE_MS = 5_000

/**
 * Nothing old is put back by a replay (L4): a cache's dead letter reads its keys from the database as they are now; one of an
 * event definition publishes under the id that derives from what happened; one of a service goes through its inbox.
 */
export async function replayDeadLetter(letter: StoredDeadLetter, deps: ReplayDeps): Promise<ReplayOutcome> {
  const { subject } = letter
  switch (subject.kind) {
    case 'keys': {
      const keys = subject.keys.map(({ view, key }) => ({ view: deps.views.byName(view), key }))
      const failed = await deps.refresh(keys)
      if (failed.length > 0) return { kind: 'failed', reason: `${failed.join(', ')} could not be filled` }
      await markReplayed(deps.sql, letter.id)
      return { kind: 'replayed' }
    }
    case 'row': {
      const { change } = subject
      if (change === null) return { kind: 'failed', reason: 'the row could not be read, and cannot be now' }
      const mine = deps.definitions.filter(({ table, topic }) => table === subject.table && topic === subject.topic)
      if (mine.length === 0)
        return { kind: 'failed', reason: `no definition derives ${subject.topic} from ${subject.table}` }
      await deps.sql.begin(async (tx) => {
        for (const definition of mine) {
          const events = definition.derive(change)
          await insertDomainEvents(tx, definition.enrich ? await definition.enrich(tx, events) : events)
        }
      })
      await markReplayed(deps.sql, letter.id)
      return { kind: 'replayed' }
    }
    case 'event': {
      await requestReplay(deps.sql, letter.id)
      const until = performance.now() + WAIT_FOR_SERVICE_MS
      while (performance.now() < until && (await pause(100, deps.signal))) {
        const now = await findDeadLetter(deps.sql, letter.id)
        if (now?.replayedAt) return { kind: 'replayed' }
        if (now && now.attempts > letter.attempts) return { kind: 'failed', reason: now.errorMessage }
      }
      return { kind: 'requested' }
    }
  }
}
