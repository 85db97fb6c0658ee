/**
 * Finds reads that show less than they must. Two promises are checked:
 *
 * - read-your-writes: a read with a write's token shows that write, or something newer
 * - nobody is taken back: what one key answered is never followed by something older. A read that was sent before that answer
 *   came may still give the older state, so a read is held against what was known when it was sent.
 *
 * Moments are texts or numbers that grow with every change of an order: its version, or its time of update (fixed width, so it
 * compares as text). Each key (entity, status, list) is a key of its own: without a token, one may be ahead of another.
 */
export type Moment = number | string

export interface StalenessCheck {
  /** What was known of a key when a read of it is sent. */
  before(key: string): Moment | undefined
  /** Judges the answer: `known` from `before`, or the moment of the write whose token was sent. Remembers what was seen. */
  isStale(key: string, seen: Moment, known: Moment | undefined): boolean
}

/** Remembers the newest moment of at most so many keys; of others nothing is claimed. */
export function createStalenessCheck(options: { readonly maxKeys: number }): StalenessCheck {
  const newest = new Map<string, Moment>()
  return {
    before: (key) => newest.get(key),
    isStale(key, seen, known) {
      const remembered = newest.get(key)
      if (remembered === undefined || isOlder(remembered, seen)) {
        // Deleted first, so that the map's order is that of the last news, and the first key is the one to forget.
        newest.delete(key)
        newest.set(key, seen)
        const [oldest] = newest.keys()
        if (newest.size > options.maxKeys && oldest !== undefined) newest.delete(oldest)
      }
      return known !== undefined && isOlder(seen, known)
    },
  }
}

export function isOlder(a: Moment, b: Moment): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a < b
  return String(a) < String(b)
}
