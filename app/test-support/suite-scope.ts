import { after } from 'node:test'

/**
 * A scope that lasts as long as a suite; call it in the body of `describe`. What is set up in its `before` is torn down when the suite
 * ends: `after` itself, called from within a hook, would mean another moment, and in a file the one after the server is gone.
 */
export function suiteScope(): { after(cleanup: () => void | Promise<void>): void } {
  const cleanups: (() => void | Promise<void>)[] = []
  after(async () => {
    for (const cleanup of cleanups) await cleanup()
  })
  return { after: (cleanup) => void cleanups.push(cleanup) }
}
