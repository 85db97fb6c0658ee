/**
 * From changes to key operations: pure, so that what a change means can be tested without a server.
 *
 * A key is named by the old row and by the new one. Where a change lacks the old values that would name its old key (replica
 * identity too weak for the view: preflight says so), nobody can say which entry it made stale: the view is forgotten.
 */
import type { ChangeEvent, Delete, Insert, SnapshotRead, Update } from '../change/change-event.ts'
import { formatLsn, type Lsn, maxLsn } from '../change/lsn.ts'
import { formatPosition, type Position, POSITION_ZERO } from '../change/position.ts'
import { qualifiedName, type Relation } from '../change/relation.ts'
import { columnText, type RowImage } from '../change/row-image.ts'
import { emptyRow, valueOf } from '../change/value.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type {
  CompiledListView,
  CompiledQueryView,
  CompiledRowView,
  CompiledView,
  CompiledViews,
} from './compiled-view.ts'
import type { KeyOperation } from './key-operation.ts'
import { canonicalText, memberField } from './key-template.ts'
import { type Change, createDrafts, type Drafts } from './plan-drafts.ts'
import type { KeyParameters, QueryDependency, Row } from './view.ts'
import { documentText } from './view-document.ts'

/** Transactions in the order of their commits, or pieces of one; `isWhole` as in TransactionPiece. */
export type PlanItem =
  | {
      readonly kind: 'transaction'
      readonly xid64: bigint
      readonly changes: readonly ChangeEvent[]
      readonly isWhole: boolean
    }
  /** `supersedes` as in SnapshotPiece. */
  | { readonly kind: 'snapshot'; readonly changes: readonly SnapshotRead[]; readonly supersedes?: Lsn | undefined }

export interface Plan {
  /** One for a key. For one `apply`. */
  readonly operations: readonly KeyOperation[]
  /** To be done before `operations` are applied. */
  readonly truncated: readonly Truncated[]
  /** Views whose stale keys cannot be named; to be forgotten before `operations` are applied. */
  readonly forgotten: readonly {
    readonly view: CompiledView
    readonly reason: 'old-values-missing' | 'no-keys' | 'keys-failed' | 'truncated'
    /** The greatest of the changes that demand it: nothing at or below may create an entry from here on (P3). */
    readonly lsn: Lsn
  }[]
  /** L4: the keys of these are invalidated by `operations`; everything else goes on. */
  readonly failed: readonly FailedChange[]
}

export interface Truncated {
  readonly view: CompiledView
  readonly lsn: Lsn
  readonly xid: bigint | null
}

export interface FailedChange {
  readonly view: CompiledView
  /** Those that are invalidated; empty if they are not known, then the view is forgotten. */
  readonly keys: readonly string[]
  readonly change: ChangeEvent
  readonly error: unknown
}

export interface Planner {
  plan(items: readonly PlanItem[]): Plan
}

type RowChange = Insert | Update | Delete | SnapshotRead
type Forgotten = Plan['forgotten'][number]

interface Feeds {
  readonly keyed: readonly (CompiledRowView | CompiledListView)[]
  readonly queries: readonly { readonly view: CompiledQueryView; readonly dependency: QueryDependency }[]
}

interface Work {
  readonly drafts: Drafts
  readonly truncated: Map<CompiledView, Truncated>
  readonly forgotten: Map<CompiledView, { readonly reason: Forgotten['reason']; readonly lsn: Lsn }>
  readonly failed: FailedChange[]
}

export function createPlanner(views: CompiledViews): Planner {
  const byRelation = new WeakMap<Relation, Feeds>()

  function feedsOf(relation: Relation): Feeds {
    let feeds = byRelation.get(relation)
    if (!feeds) {
      const table = qualifiedName(relation)
      feeds = {
        keyed: views.all.filter((view) => view.kind !== 'query').filter(({ view }) => view.table === table),
        queries: views.all
          .filter((view) => view.kind === 'query')
          .flatMap((view) => view.view.dependsOn.map((dependency) => ({ view, dependency })))
          .filter(({ dependency }) => dependency.table === table),
      }
      byRelation.set(relation, feeds)
    }
    return feeds
  }

  /** As a TRUNCATE at that LSN would: of rows that were deleted unseen nobody will ever tell. */
  function supersede(changes: readonly SnapshotRead[], lsn: Lsn, work: Work): void {
    for (const relation of new Set(changes.map((change) => change.relation))) {
      const position = changes[0]?.position ?? POSITION_ZERO
      truncate(work, feedsOf(relation), { lsn, position, xid: null })
    }
  }

  return {
    plan(items) {
      const work: Work = { drafts: createDrafts(), truncated: new Map(), forgotten: new Map(), failed: [] }
      for (const item of items) {
        const xid = item.kind === 'transaction' ? item.xid64 : null
        const isWhole = item.kind === 'transaction' && item.isWhole
        if (item.kind === 'snapshot' && item.supersedes !== undefined) supersede(item.changes, item.supersedes, work)
        for (const event of item.changes) {
          if (event.op === 'm') continue
          const feeds = feedsOf(event.relation)
          const change = { lsn: event.lsn, position: event.position, xid }
          if (event.op === 't') truncate(work, feeds, change)
          else planRowChange(work, feeds, event, change, isWhole)
        }
      }
      return {
        operations: work.drafts.operations(formatPosition),
        truncated: [...work.truncated.values()],
        forgotten: Array.from(work.forgotten, ([view, forgotten]) => ({ view, ...forgotten })),
        failed: work.failed,
      }
    },
  }
}

function forgetView(work: Work, view: CompiledView, reason: Forgotten['reason'], change: Change): void {
  const known = work.forgotten.get(view)
  work.forgotten.set(view, { reason, lsn: known ? maxLsn(known.lsn, change.lsn) : change.lsn })
}

function truncate(work: Work, feeds: Feeds, change: Change): void {
  for (const view of feeds.keyed) {
    work.truncated.set(view, { view, lsn: change.lsn, xid: change.xid })
    work.drafts.truncate(view, change)
  }
  for (const { view } of feeds.queries) forgetView(work, view, 'truncated', change)
}

function planRowChange(work: Work, feeds: Feeds, event: RowChange, change: Change, isWhole: boolean): void {
  for (const view of feeds.keyed) {
    if (event.op === 'r') prewarm(work, view, event, change)
    else planKeyedView(work, view, event, change, isWhole)
  }
  for (const { view, dependency } of feeds.queries) planQueryView(work, view, dependency, event, change)
}

/** Snapshot rows are never a value, nor a version: for policy `all` they order a fill, and nothing else. */
function prewarm(work: Work, view: CompiledRowView | CompiledListView, event: SnapshotRead, change: Change): void {
  if (view.view.warm !== 'all') return
  const key = keyOf(view, event.after)
  if (typeof key === 'string') work.drafts.prewarm(view, key, change)
}

function planKeyedView(
  work: Work,
  view: CompiledRowView | CompiledListView,
  event: Exclude<RowChange, SnapshotRead>,
  change: Change,
  isWhole: boolean,
): void {
  const after = event.op === 'd' ? null : withUnchanged(event.after, event.op === 'u' ? event.before : null)
  const before = event.op === 'c' ? null : oldRow(event, identifying(view))
  const oldKey = before ? keyOf(view, before) : null
  const newKey = after ? (before && isSameKey(view, before, after) ? oldKey : keyOf(view, after)) : null
  const oldField = before && view.kind === 'list' ? fieldOf(view, before) : null
  const newField = after && view.kind === 'list' ? fieldOf(view, after) : null
  if (
    before === undefined ||
    oldKey === undefined ||
    newKey === undefined ||
    oldField === undefined ||
    newField === undefined
  ) {
    forgetView(work, view, 'old-values-missing', change)
    return
  }
  // In a piece, one row's last change gives its row's last state; of a list, other members may be in other pieces.
  const isLast = isWhole || (view.kind === 'row' && event.isSuperseded === false)
  if (oldKey !== null && (oldKey !== newKey || oldField !== newField)) {
    if (!isLast) work.drafts.invalidate(view, oldKey, change, true)
    else if (view.kind === 'row') work.drafts.row(view, oldKey, change, null)
    else if (oldField !== null) work.drafts.member(view, oldKey, change, oldField, null)
  }
  if (newKey === null || after === null) return
  if (!isLast) {
    // A later piece brings the row again.
    const isSettledLater = view.kind === 'row' && event.isSuperseded === true
    work.drafts.invalidate(view, newKey, change, !isSettledLater)
    return
  }
  try {
    const row = decode(view, after, view.view.columns)
    if (row === undefined) work.drafts.invalidate(view, newKey, change, true)
    else if (view.kind === 'row') work.drafts.row(view, newKey, change, documentText(view, row))
    else if (newField !== null) work.drafts.member(view, newKey, change, newField, documentText(view, row))
  } catch (error) {
    work.drafts.invalidate(view, newKey, change, false)
    work.failed.push({ view, keys: [newKey], change: event, error })
  }
}

function planQueryView(
  work: Work,
  view: CompiledQueryView,
  dependency: QueryDependency,
  event: RowChange,
  change: Change,
): void {
  if (event.op === 'r' && view.view.warm !== 'all') return
  const { keys: keysOf, columns } = dependency
  if (!keysOf) {
    if (event.op !== 'r') forgetView(work, view, 'no-keys', change)
    return
  }
  const before = event.op === 'u' || event.op === 'd' ? oldRow(event, columns) : null
  const images =
    event.op === 'd' ? [before] : [before, withUnchanged(event.after, event.op === 'u' ? event.before : null)]
  try {
    const keys = new Set<string>()
    for (const image of images) {
      if (image === null) continue
      const row = image && decode(view, image, columns)
      if (!row) {
        forgetView(work, view, 'old-values-missing', change)
        return
      }
      for (const parameters of keysOf(row)) keys.add(queryKey(view, parameters))
    }
    for (const key of keys) {
      if (event.op === 'r') work.drafts.prewarm(view, key, change)
      else work.drafts.invalidate(view, key, change, true)
    }
  } catch (error) {
    forgetView(work, view, 'keys-failed', change)
    work.failed.push({ view, keys: [], change: event, error: withoutValues(view, error) })
  }
}

export function queryKey(view: CompiledQueryView, parameters: KeyParameters): string {
  return view.template.format(view.template.parameters.map((name) => parameters[name] ?? missing(view, name)))
}

function missing(view: CompiledView, name: string): never {
  throw new TrackOpsError('VIEW_FAILED', `a key of view ${view.name} lacks the parameter ${name}`, {
    details: { view: view.name },
  })
}

/** null: the row has no key, as one of its columns is NULL. undefined: the image does not say. */
function keyOf(view: CompiledRowView | CompiledListView, image: RowImage): string | null | undefined {
  const texts: string[] = []
  for (const column of view.template.parameters) {
    const text = columnText(image, column)
    if (text === undefined || text === null) return text
    texts.push(keyText(image.relation, column, text))
  }
  return view.template.format(texts)
}

/** Most changes leave the key as it is: comparing its texts is cheaper than making it twice. */
function isSameKey(view: CompiledRowView | CompiledListView, before: RowImage, after: RowImage): boolean {
  if (before.relation !== after.relation) return false
  return view.template.parameters.every((column) => columnText(before, column) === columnText(after, column))
}

function fieldOf(view: CompiledListView, image: RowImage): string | null | undefined {
  const text = columnText(image, view.view.member)
  return text === undefined || text === null ? text : memberField(keyText(image.relation, view.view.member, text))
}

function identifying(view: CompiledRowView | CompiledListView): readonly string[] {
  return view.kind === 'list' ? [...view.template.parameters, view.view.member] : view.template.parameters
}

/**
 * The row as it was, as far as `columns` go. An update without an old tuple left the replica identity as it was, so the new
 * row says what those columns were. undefined: the event does not say.
 */
function oldRow(event: Update | Delete, columns: readonly string[]): RowImage | undefined {
  const { before } = event
  if (before) return columns.every((column) => columnText(before, column) !== undefined) ? before : undefined
  if (event.op === 'd') return undefined
  const { relation } = event
  const isUnchanged = columns.every(
    (column) => relation.columns[relation.columnIndex.get(column) ?? -1]?.isIdentity === true,
  )
  return isUnchanged ? event.after : undefined
}

/** An unchanged TOAST value that the new row lacks is the old row's, if that one has it. */
function withUnchanged(after: RowImage, before: RowImage | null): RowImage {
  if (after.kind === 'complete' || !before) return after
  return { ...after, texts: after.texts.map((text, index) => (text === undefined ? before.texts[index] : text)) }
}

/** undefined: a partial row is not a row (L3). @throws TrackOpsError DECODE */
function decode(view: CompiledView, image: RowImage, columns: readonly string[]): Row | undefined {
  const row = emptyRow(columns)
  const { relation, texts } = image
  for (const column of columns) {
    const index = relation.columnIndex.get(column) ?? -1
    const text = texts[index]
    const type = relation.columns[index]?.type
    if (text === undefined || !type) return undefined
    try {
      row[column] = valueOf(type, text)
    } catch {
      throw new TrackOpsError(
        'DECODE',
        `column ${column} of ${qualifiedName(relation)} does not read as ${type.name}`,
        {
          details: { view: view.name, column, type: type.name },
        },
      )
    }
  }
  return row
}

/** What the stream brings is PostgreSQL's own text, and so canonical already; but for the blanks that pad a `char(n)`. */
function keyText(relation: Relation, column: string, text: string): string {
  const type = relation.columns[relation.columnIndex.get(column) ?? -1]?.type
  return type?.name === 'bpchar' ? canonicalText(type.name, text) : text
}

function withoutValues(view: CompiledView, error: unknown): unknown {
  if (error instanceof TrackOpsError) return error
  const reason = error instanceof Error ? error.name : typeof error
  return new TrackOpsError('VIEW_FAILED', `the keys of a dependency of view ${view.name} threw ${reason}`, {
    details: { view: view.name, reason },
  })
}

/** Where a change that failed stands, for logs and dead letters. */
export function describePlace(change: { readonly lsn: Lsn; readonly position: Position }): Record<string, string> {
  return { lsn: formatLsn(change.lsn), position: formatPosition(change.position) }
}
