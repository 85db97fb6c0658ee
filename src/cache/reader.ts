import type { FreshnessToken } from './token.ts'
import type { Document, KeyParameters, ListView, QueryView, RowView } from './view.ts'

/**
 * How an application reads. Cache-aside with a lease: nothing that was read from the database enters the cache by
 * another way (PROTOCOL.md, "A reader").
 */
export interface CacheReader {
  /** null: there is no such row. */
  get(view: RowView | QueryView, key: KeyParameters, options?: ReadOptions): Promise<Read<Document | null>>
  /** The members in no particular order; empty where no row has this key. */
  list(view: ListView, key: KeyParameters, options?: ReadOptions): Promise<Read<readonly Document[]>>
}

export interface ReadOptions {
  /** From a write; the answer includes that write, whatever it costs. */
  readonly token?: FreshnessToken | undefined
}

export interface Read<T> {
  readonly value: T
  /**
   * hit: from the cache. miss: from the database, by way of a fill. bypass: from the database although the cache had an
   * answer or was not asked: it was older than the token, or Redis is down or not trusted at the moment.
   */
  readonly source: 'hit' | 'miss' | 'bypass'
}
