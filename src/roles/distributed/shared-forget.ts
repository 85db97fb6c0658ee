import type { CacheProtocol, Forgotten } from '../../cache/protocol.ts'

/**
 * After Redis came back empty every partition finds its position gone, and wants the same views forgotten. One walk through Redis serves
 * all that asked before it began: forgetting is about what was cached before.
 */
export function createSharedForget(forget: CacheProtocol['forget']): CacheProtocol['forget'] {
  const waiting = new Map<string, Promise<Forgotten>>()
  let last: Promise<unknown> = Promise.resolve()

  return (views, options = {}) => {
    const what = [...views].toSorted().join(' ')
    const known = waiting.get(what)
    if (known) return known
    const walk = last.then(() => {
      waiting.delete(what)
      return forget(views, options)
    })
    waiting.set(what, walk)
    last = walk.catch(() => undefined)
    return walk
  }
}
