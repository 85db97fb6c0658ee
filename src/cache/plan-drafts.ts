import type { Lsn } from '../change/lsn.ts'
import { maxLsn } from '../change/lsn.ts'
import type { Position } from '../change/position.ts'
import type { CompiledView } from './compiled-view.ts'
import type { KeyAction, KeyOperation } from './key-operation.ts'

export interface Change {
  readonly lsn: Lsn
  readonly position: Position
  /** null for a snapshot row: no transaction of its own. */
  readonly xid: bigint | null
}

/** Collects what changes mean for keys; one operation a key comes out: the last change counts, with the greatest LSN of all. */
export interface Drafts {
  /** null: gone. */
  row(view: CompiledView, key: string, change: Change, document: string | null): void
  member(view: CompiledView, key: string, change: Change, field: string, document: string | null): void
  invalidate(view: CompiledView, key: string, change: Change, refill: boolean): void
  prewarm(view: CompiledView, key: string, change: Change): void
  /** What changes before a TRUNCATE brought is gone. */
  truncate(view: CompiledView, change: Change): void
  operations(formatPosition: (position: Position) => string): KeyOperation[]
}

interface Draft {
  readonly view: CompiledView
  readonly key: string
  lsn: Lsn
  position: Position
  readonly xids: bigint[]
  action:
    | Exclude<KeyAction, { kind: 'members' }>
    | { readonly kind: 'members'; readonly members: Map<string, MemberDraft> }
}

interface MemberDraft {
  readonly field: string
  lsn: Lsn
  readonly xids: bigint[]
  document: string | null
}

export function createDrafts(): Drafts {
  const drafts = new Map<string, Draft>()

  function touch(view: CompiledView, key: string, change: Change, action: Draft['action']): Draft {
    const draft = drafts.get(key)
    if (!draft) {
      const made = {
        view,
        key,
        lsn: change.lsn,
        position: change.position,
        xids: change.xid === null ? [] : [change.xid],
        action,
      }
      drafts.set(key, made)
      return made
    }
    draft.lsn = maxLsn(draft.lsn, change.lsn)
    draft.position = change.position
    addXid(draft.xids, change.xid)
    return draft
  }

  return {
    row(view, key, change, document) {
      const action: KeyAction = document === null ? { kind: 'gone' } : { kind: 'value', document }
      touch(view, key, change, action).action = action
    },
    member(view, key, change, field, document) {
      const draft = touch(view, key, change, { kind: 'members', members: new Map() })
      if (draft.action.kind === 'prewarm') draft.action = { kind: 'members', members: new Map() }
      // A list that is invalidated in this call stays so: what it would be without the change that did it is not known.
      if (draft.action.kind !== 'members') return
      const known = draft.action.members.get(field)
      if (known) {
        known.lsn = maxLsn(known.lsn, change.lsn)
        known.document = document
        addXid(known.xids, change.xid)
      } else {
        draft.action.members.set(field, {
          field,
          lsn: change.lsn,
          xids: change.xid === null ? [] : [change.xid],
          document,
        })
      }
    },
    invalidate(view, key, change, refill) {
      const action: KeyAction = { kind: 'invalidate', refill }
      touch(view, key, change, action).action = action
    },
    prewarm(view, key, change) {
      if (!drafts.has(key)) touch(view, key, change, { kind: 'prewarm' })
    },
    truncate(view, change) {
      for (const draft of drafts.values()) {
        if (draft.view === view)
          touch(view, draft.key, change, draft.action).action = { kind: 'invalidate', refill: false }
      }
    },
    operations(formatPosition) {
      // One change is several operations, one after the other.
      let last: Position | undefined
      let text = ''
      return Array.from(drafts.values(), ({ view, key, lsn, position, xids, action }) => {
        if (position !== last) text = formatPosition(position)
        last = position
        return {
          view,
          key,
          lsn,
          position: text,
          xids,
          action: action.kind === 'members' ? { kind: 'members', members: [...action.members.values()] } : action,
        }
      })
    },
  }
}

/** Commits come one after the other, so an xid that is known is the last one, or nearly. */
function addXid(xids: bigint[], xid: bigint | null): void {
  if (xid === null) return
  const index = xids.lastIndexOf(xid)
  if (index === -1) xids.push(xid)
  else if (index !== xids.length - 1) {
    xids.splice(index, 1)
    xids.push(xid)
  }
}
