import type { CompiledView } from '../cache/compiled-view.ts'
import { callRedis } from '../cache/redis-call.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { RedisDeps } from './cached-entry.ts'

/** As much of Redis's time as one call may take: some 0.2 ms. */
const SCAN_COUNT = 1000

/**
 * The keys of a view that are cached, or cached as absent, in batches. Memory: one page of SCAN and one batch. As with SCAN
 * itself, a key that comes or goes meanwhile may be missed, and one may (seldom) come twice.
 */
export async function* scanKeys(
  deps: RedisDeps,
  view: CompiledView,
  options: { readonly batchKeys: number; readonly signal: AbortSignal },
): AsyncGenerator<readonly string[]> {
  const { template } = view
  const isOurs = (key: string): boolean => template.parse(key) !== undefined
  yield* scan(deps, template.glob, options, (key) => (isOurs(key) ? key : undefined))
  yield* scan(deps, `{${template.glob}}:absent`, options, (side) => {
    const key = side.slice(1, -'}:absent'.length)
    return isOurs(key) ? key : undefined
  })
}

async function* scan(
  { redis, timeoutMs }: RedisDeps,
  glob: string,
  options: { readonly batchKeys: number; readonly signal: AbortSignal },
  keyOf: (found: string) => string | undefined,
): AsyncGenerator<readonly string[]> {
  let cursor = '0'
  let batch = new Set<string>()
  do {
    options.signal.throwIfAborted()
    const reply = await callRedis(redis, ['SCAN', cursor, 'MATCH', glob, 'COUNT', String(SCAN_COUNT)], timeoutMs)
    if (!Array.isArray(reply) || !Array.isArray(reply[1]))
      throw new TrackOpsError('REDIS_REFUSED', 'Redis answered SCAN with something unexpected')
    cursor = String(reply[0])
    for (const found of reply[1] as unknown[]) {
      const key = keyOf(String(found))
      if (key === undefined) continue
      batch.add(key)
      if (batch.size < options.batchKeys) continue
      yield [...batch]
      batch = new Set()
    }
  } while (cursor !== '0')
  if (batch.size > 0) yield [...batch]
}
