import type { Value } from '../change/value.ts'

/**
 * What an application declares: which rows feed which keys. Invalidation, warming, filling and verifying all follow
 * from it. A view's function must be pure: it is called for change events and for database reads alike, and both have to
 * give the same document.
 */
export type View = RowView | ListView | QueryView

/** A JSON object. Members whose name begins with `_` are TrackOps's own. */
export type Document = { readonly [name: string]: Value }

/** The columns that a view names, by name, as `valueOf` gives them. */
export type Row = Readonly<Record<string, Value>>

/**
 * `all`: create and update from every change. `cached`: only update what is there. `none`: invalidate only.
 */
export type WarmingPolicy = 'all' | 'cached' | 'none'

interface ViewBase {
  /** Unique; used in metrics, in `trackops forget` and in the names of view-wide fences. */
  readonly name: string
  /** `order:entity:{id}`: the braces name columns (row and list views) or parameters (query views). */
  readonly key: string
  /** Seconds, exactly as declared; renewed by every warm. */
  readonly ttlSeconds: number
  readonly warm: WarmingPolicy
  /** Spread the TTL by up to this share, 0 to 0.5, so that keys written together do not expire together. Default 0. */
  readonly ttlJitterRatio?: number
  /**
   * The version of the view's code is derived from its text; a change in something that the function merely calls does
   * not show there. Raise this then. Default 1.
   */
  readonly codeVersion?: number
}

/** One row, one key. */
export interface RowView extends ViewBase {
  readonly kind: 'row'
  /** `public.orders` */
  readonly table: string
  /** Every column that the key or the function needs, and no other: fills read these, and no more. */
  readonly columns: readonly string[]
  /** null: this row has no entry (a soft-deleted row, say). */
  readonly document: (row: Row) => Document | null
}

/** Rows that share a column, one hash, one member a row. */
export interface ListView extends ViewBase {
  readonly kind: 'list'
  readonly table: string
  readonly columns: readonly string[]
  /** The column whose text names the member; unique within the list. */
  readonly member: string
  readonly document: (row: Row) => Document | null
}

/** Any SQL by key, with the tables that it depends on. Changes invalidate it; `warm: 'cached'` refreshes what was there. */
export interface QueryView extends ViewBase {
  readonly kind: 'query'
  /** `$1`, `$2`, ... are the key's parameters, in the order of the template, as text: cast them. One row, or none. */
  readonly sql: string
  /** From the query's row (all its columns, as `valueOf` gives them) to the document. Default: the row itself. */
  readonly document?: (row: Row) => Document | null
  readonly dependsOn: readonly QueryDependency[]
}

export interface QueryDependency {
  readonly table: string
  readonly columns: readonly string[]
  /**
   * The keys that a changed row means, called with the old and with the new row. Leave it out where a row can't say:
   * then every change of the table forgets the view.
   */
  readonly keys?: (row: Row) => readonly KeyParameters[]
}

/** Parameter name to its text, as PostgreSQL writes it; canonicalised (a UUID in lower case) before it becomes a key. */
export type KeyParameters = Readonly<Record<string, string>>

export function rowView(view: Omit<RowView, 'kind'>): RowView {
  return { kind: 'row', ...view }
}

export function listView(view: Omit<ListView, 'kind'>): ListView {
  return { kind: 'list', ...view }
}

export function queryView(view: Omit<QueryView, 'kind'>): QueryView {
  return { kind: 'query', ...view }
}
