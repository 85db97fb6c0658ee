import { createHash } from 'node:crypto'

import type { View } from './view.ts'

/**
 * 8 hex digits that stand for what a view makes of a row: an entry with another code was made by other code, and counts
 * as a miss. Derived from the text of the view's function and from what it is given. TTL and warming policy are no part of
 * it: they change no document. What the function merely calls does not show; `codeVersion` is for that.
 */
export function codeOf(view: View): string {
  const text = JSON.stringify([
    view.kind,
    view.key,
    view.codeVersion ?? 1,
    view.document?.toString() ?? null,
    view.kind === 'query' ? [view.sql] : [view.table, view.columns, view.kind === 'list' ? view.member : null],
  ])
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
