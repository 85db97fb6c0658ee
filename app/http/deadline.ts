import { Problem } from './problem.ts'

/**
 * No request waits for ever. Two limits, because they mean different things to the client:
 *
 *     asked ──── waits for a connection ──── begun ──── runs ──── done
 *            waitMs: nothing was done, and             runMs: it may yet be done; the
 *            nothing will be: `begin` throws           same Idempotency-Key finds out
 */
export interface DeadlineLimits {
  readonly waitMs: number
  readonly runMs: number
}

/** waitMs above the driver's own pause between two attempts to connect; together below the 30 s of common proxies. */
export const DEADLINE = { waitMs: 5_000, runMs: 12_000 } as const satisfies DeadlineLimits

/** `begin` is called when the work has got hold of the database, and throws if that is too late by now. */
export function withinDeadline<T>(limits: DeadlineLimits, work: (begin: () => void) => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let hasGivenUp = false
    const giveUp = (detail: string) => {
      hasGivenUp = true
      reject(new Problem('unavailable', detail))
    }
    let timer = setTimeout(giveUp, limits.waitMs, 'The database does not answer; nothing was done.')
    const begin = () => {
      if (hasGivenUp) throw new Problem('unavailable', 'The database was ready too late; nothing was done.')
      clearTimeout(timer)
      timer = setTimeout(giveUp, limits.runMs, 'The database does not answer; it is not known whether it was done.')
    }
    work(begin)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}
