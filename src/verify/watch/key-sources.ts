/** Where a watch gets its keys from. Each source finds what the others can't, so they take turns. */
import type { CompiledView, CompiledViews } from '../../cache/compiled-view.ts'
import type { RedisDeps } from '../cached-entry.ts'
import { scanKeys } from '../scan-keys.ts'

export interface SampledKeys {
  readonly view: CompiledView
  readonly keys: readonly string[]
  /** Where rows were looked at: the transaction that made each key's row. */
  readonly xids?: ReadonlyMap<string, bigint>
}

export interface KeySource {
  /** About so many; fewer, or nothing, where there are no more at the moment. */
  next(limitKeys: number): Promise<readonly SampledKeys[]>
}

/** Every key that is cached, view after view and then from the beginning: finds what has no row any more, and what nobody wrote lately. */
export function createCacheWalk(deps: RedisDeps, views: CompiledViews, signal: AbortSignal): KeySource {
  let walk = walkAll(deps, views, signal)
  let left: SampledKeys | undefined
  return {
    async next(limitKeys) {
      try {
        const { value } = left ? { value: left } : await walk.next()
        if (!value) {
          walk = walkAll(deps, views, signal)
          return []
        }
        const { view, keys } = value
        left = keys.length > limitKeys ? { view, keys: keys.slice(limitKeys) } : undefined
        return [{ view, keys: keys.slice(0, limitKeys) }]
      } catch (error) {
        // A generator that threw has ended.
        walk = walkAll(deps, views, signal)
        throw error
      }
    },
  }
}

async function* walkAll(deps: RedisDeps, views: CompiledViews, signal: AbortSignal): AsyncGenerator<SampledKeys> {
  for (const view of views.all) {
    for await (const keys of scanKeys(deps, view, { batchKeys: 200, signal })) yield { view, keys }
  }
}

/** Keys that consumers of this process have written lately: where a change was lost or applied wrongly, it shows here first. */
export interface RecentKeys extends KeySource {
  /** Some of the keys that a consumer's call is about. */
  note(operations: readonly { readonly view: CompiledView; readonly key: string }[]): void
}

const MAX_RECENT_KEYS = 1_000
/** It must cost a busy consumer nothing. */
const KEYS_OF_A_CALL = 20

/** Remembers the last so many; each is given once. */
export function createRecentKeys(): RecentKeys {
  const recent = new Map<string, CompiledView>()
  return {
    note(operations) {
      const stride = Math.ceil(operations.length / KEYS_OF_A_CALL)
      for (let index = 0; index < operations.length; index += stride) {
        const operation = operations[index]
        if (!operation) continue
        recent.delete(operation.key)
        recent.set(operation.key, operation.view)
        const [oldest] = recent.keys()
        if (recent.size > MAX_RECENT_KEYS && oldest !== undefined) recent.delete(oldest)
      }
    },
    next(limitKeys) {
      const taken = Array.from(recent).slice(0, limitKeys)
      for (const [key] of taken) recent.delete(key)
      const byView = Map.groupBy(taken, ([, view]) => view)
      return Promise.resolve(Array.from(byView, ([view, ofView]) => ({ view, keys: ofView.map(([key]) => key) })))
    },
  }
}
