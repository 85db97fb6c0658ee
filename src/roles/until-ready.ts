import { pause } from '../runtime/backoff.ts'
import type { System } from './system.ts'

/** Resolves when the system is ready, or the signal aborts. @throws what ended the system before */
export async function untilReady(system: System, signal: AbortSignal): Promise<void> {
  let failed: { readonly error: unknown } | undefined
  system.ended.catch((error: unknown) => (failed = { error }))
  while (!system.isReady() && (await pause(20, signal))) {
    if (failed) throw failed.error
  }
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
