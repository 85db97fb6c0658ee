/** Keys that belong to the whole Redis, not to an entry. */
export interface GlobalKeys {
  readonly generation: string
  readonly invalidator: string
  readonly warmer: string
  /** Which slot the consumers follow, and how often it was connected to. */
  readonly followed: string
  viewFence(view: string): string
}

export function globalKeys(keyPrefix: string, partition?: string): GlobalKeys {
  const own = `${keyPrefix}trackops:`
  const suffix = partition === undefined ? '' : `:${partition}`
  return {
    generation: `${own}generation`,
    invalidator: `${own}position:cache-invalidator${suffix}`,
    warmer: `${own}position:cache-warmer${suffix}`,
    followed: `${own}followed`,
    viewFence: (view) => `${own}fence:${view}`,
  }
}
