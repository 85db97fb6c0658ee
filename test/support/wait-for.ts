import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'

export interface WaitOptions<T> {
  /** What is waited for, as the error will say it: "the slot to be active". */
  readonly what: string
  /** Default 60,000: on a busy machine, too, only a broken test gets there. */
  readonly timeoutMs?: number
  readonly intervalMs?: number
  /** For conditions that yield a value first and judge it then: the error shows the last value. */
  readonly until?: (value: T) => boolean
}

/**
 * Asks again and again until the condition gives something other than undefined, null or false (or until `until` is content), and
 * gives that. A condition that throws is asked again; its last error becomes the cause.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions<NonNullable<Exclude<T, false>>>,
): Promise<NonNullable<Exclude<T, false>>> {
  const timeoutMs = options.timeoutMs ?? 60_000
  const deadline = performance.now() + timeoutMs
  let seen: unknown
  let failure: unknown
  for (;;) {
    try {
      const value = await condition()
      seen = value
      failure = undefined
      if (isSomething(value) && (options.until === undefined || options.until(value))) return value
    } catch (error) {
      failure = error
    }
    if (performance.now() > deadline) {
      const reason = failure instanceof Error ? failure.message : inspect(failure)
      const last = failure === undefined ? `last seen: ${inspect(seen, { depth: 4 })}` : `last error: ${reason}`
      throw new Error(`Waited ${timeoutMs} ms for ${options.what}; ${last}`, { cause: failure })
    }
    await sleep(options.intervalMs ?? 10)
  }
}

function isSomething<T>(value: T): value is NonNullable<Exclude<T, false>> {
  return value !== undefined && value !== null && value !== false
}
