import { TrackOpsError } from '../runtime/errors.ts'
import type { CompiledView } from './compiled-view.ts'
import { callRedis, type RedisConnection } from './redis-call.ts'

const SCAN_COUNT = 1000

/**
 * Deletes the values, leases and absences of these views by SCAN; with `isHistoryNew` also fences and marks. Deleting is always
 * safe (it is an eviction), so keys that were written meanwhile may go too. Cost: two walks through all of Redis's keys for
 * each view.
 */
export async function removeKeys(
  deps: { readonly redis: RedisConnection; readonly timeoutMs: number; readonly signal: AbortSignal },
  views: readonly CompiledView[],
  isHistoryNew: boolean,
): Promise<number> {
  const suffixes = isHistoryNew ? ['lease', 'absent', 'fence', 'answered'] : ['lease', 'absent']
  let removed = 0
  for (const { template } of views) {
    removed += await removeMatching(deps, template.glob, (key) => template.parse(key) !== undefined)
    await removeMatching(deps, `{${template.glob}}:*`, (key) => {
      const match = /^\{(.*)\}:([a-z]+)$/s.exec(key)
      return match !== null && suffixes.includes(match[2] ?? '') && template.parse(match[1] ?? '') !== undefined
    })
  }
  return removed
}

async function removeMatching(
  deps: { readonly redis: RedisConnection; readonly timeoutMs: number; readonly signal: AbortSignal },
  glob: string,
  isOurs: (key: string) => boolean,
): Promise<number> {
  let cursor = '0'
  let removed = 0
  do {
    deps.signal.throwIfAborted()
    const reply = await callRedis(
      deps.redis,
      ['SCAN', cursor, 'MATCH', glob, 'COUNT', String(SCAN_COUNT)],
      deps.timeoutMs,
    )
    if (!Array.isArray(reply) || !Array.isArray(reply[1]))
      throw new TrackOpsError('REDIS_REFUSED', 'Redis answered SCAN with something unexpected')
    cursor = String(reply[0])
    const keys = (reply[1] as unknown[]).filter((key): key is string => typeof key === 'string' && isOurs(key))
    if (keys.length > 0) removed += Number(await callRedis(deps.redis, ['UNLINK', ...keys], deps.timeoutMs))
  } while (cursor !== '0')
  return removed
}
