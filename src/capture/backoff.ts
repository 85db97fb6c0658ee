/**
 * Pause before the next try: doubling from 100 ms to 10 s, each between half and all of that, so that clients of one server
 * that came back do not return in step. `attempt` counts from 1; `random` gives 0 to 1.
 */
export function backoffMs(attempt: number, random: () => number): number {
  const full = Math.min(10_000, 100 * 2 ** Math.min(attempt - 1, 10))
  return Math.round(full * (0.5 + random() / 2))
}
