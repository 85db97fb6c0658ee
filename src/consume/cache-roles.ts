import { comparePositions, type Position } from '../change/position.ts'

/** Which of the two cache consumers a loop is. */
export type CacheRole = 'cache-invalidator' | 'cache-warmer' | 'together'

/** What one atomic call does: one consumer's work, or both at once. */
export type ApplyRole = 'invalidate' | 'warm' | 'both'

/**
 * When one loop is both consumers, their stored positions may still differ: they ran apart before. What one of them has
 * processed is not processed again, for a change that comes late could put back what readers have left behind (P2, P3).
 * So the one that is behind first catches up alone, and from there on one write serves both.
 */
export function roleAt(
  role: CacheRole,
  positions: { readonly invalidator: Position; readonly warmer: Position },
): ApplyRole {
  if (role === 'cache-invalidator') return 'invalidate'
  if (role === 'cache-warmer') return 'warm'
  const order = comparePositions(positions.invalidator, positions.warmer)
  if (order < 0) return 'invalidate'
  return order > 0 ? 'warm' : 'both'
}
