/** So many connections, each with one request at a time, for some seconds. */
import autocannon from 'autocannon'

import { type Quantiles, quantilesOf } from '../statistics.ts'

export interface Throughput extends Quantiles {
  readonly perSecond: number
}

/** @throws unless every answer is a 2xx */
export async function measureRequests(
  baseUrl: string,
  paths: readonly string[],
  options: { readonly connections: number; readonly seconds: number },
): Promise<Throughput> {
  const tookMs: number[] = []
  const startedMs = performance.now()
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const instance = autocannon(
      {
        url: baseUrl,
        connections: options.connections,
        duration: options.seconds,
        requests: paths.map((path) => ({ path })),
      },
      (error: Error | null, all) => (error ? reject(error) : resolve(all)),
    )
    // Its own histogram counts in whole milliseconds.
    instance.on('response', (_client, _status, _bytes, responseMs) => void tookMs.push(responseMs))
  })
  const seconds = (performance.now() - startedMs) / 1000
  if (result.non2xx > 0 || result.errors > 0 || tookMs.length === 0)
    throw new Error(`${paths[0]}: ${result.non2xx} answers that were no 2xx, ${result.errors} errors`)
  return { perSecond: Math.round(tookMs.length / seconds), ...quantilesOf(tookMs) }
}
