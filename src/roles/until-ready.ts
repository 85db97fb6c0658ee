import { pause } from '../runtime/backoff.ts'
import type { System } from './system.ts'

const LOOK_EVERY_MS = 1000

/** Resolves when the system is ready, or the signal aborts. @throws what ended the system before */
export async function untilReady(system: System, signal: AbortSignal): Promise<void> {
  let failed: { readonly error: unknown } | undefined
  system.ended.catch((error: unknown) => (failed = { error }))
  while (!system.isReady() && (await pause(20, signal))) {
    if (failed) throw failed.error
  }
}

/**
 * Tells people in one line when the system begins to wait for something, and when it goes on: from its start on, for what keeps
 * it from becoming ready is what they wait for.
 */
export async function tellReasons(
  system: Pick<System, 'reason'>,
  say: (line: string) => void,
  signal: AbortSignal,
  everyMs: number = LOOK_EVERY_MS,
): Promise<never> {
  let told: string | null = null
  for (;;) {
    await pause(everyMs, signal)
    if (signal.aborted) return await new Promise<never>(() => undefined)
    const reason = system.reason()
    if (reason === told) continue
    say(reason ?? 'running again')
    told = reason
  }
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
