/** Pauses between tries: growing, bounded, and spread, so that many who failed at once do not come back at once. */

export interface BackoffOptions {
  /** Pause after the first failure, before spreading. Default 100: a restarted server is back in about that time. */
  readonly firstMs?: number
  /** No pause is longer. Default 30,000: somebody who mended something waits no longer than that. */
  readonly maxMs?: number
  /** Default 2. */
  readonly factor?: number
  /** How much of a pause is chance: 0 none, 1 all of it. Default 0.5: a pause is between half of its length and all. */
  readonly jitterRatio?: number
  /** In [0, 1). Default Math.random. */
  readonly random?: () => number
}

/** Milliseconds to wait after failure number `failures` in a row, counted from 1. */
export function backoffDelayMs(failures: number, options: BackoffOptions = {}): number {
  const { firstMs = 100, maxMs = 30_000, factor = 2, jitterRatio = 0.5, random = Math.random } = options
  const grown = firstMs * factor ** Math.max(0, failures - 1)
  const capped = Math.min(maxMs, grown)
  return Math.round(capped * (1 - jitterRatio * random()))
}

/** False where the signal came first, or had come before: the caller leaves its loop. Never rejects. */
export function pause(delayMs: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false)
  return new Promise((resolve) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve(true)
    }, delayMs)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
