/** So many callers in this process, each with one call at a time, for some seconds. */
import { quantilesOf } from '../statistics.ts'
import type { Throughput } from './http-load.ts'

export async function measureCalls(
  call: (index: number) => Promise<void>,
  options: { readonly callers: number; readonly seconds: number },
): Promise<Throughput> {
  const tookMs: number[] = []
  const beganMs = performance.now()
  const untilMs = beganMs + options.seconds * 1000
  let next = 0
  const keepCalling = async (): Promise<void> => {
    for (let startedMs = performance.now(); startedMs < untilMs;) {
      await call(next++)
      const endedMs = performance.now()
      tookMs.push(endedMs - startedMs)
      startedMs = endedMs
    }
  }
  await Promise.all(Array.from({ length: options.callers }, keepCalling))
  return {
    perSecond: Math.round(tookMs.length / ((performance.now() - beganMs) / 1000)),
    ...quantilesOf(tookMs),
  }
}
