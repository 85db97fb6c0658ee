import { type Lsn, lsnToFixedHex } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { CompiledView } from './compiled-view.ts'
import { callRedis, type RedisConnection } from './redis-call.ts'
import type { Scripts } from './scripts.ts'

const SCAN_COUNT = 1000

export interface RemoveOptions {
  readonly isHistoryNew?: boolean
  /** What was made behind this change stays: by a later one, or by a read that saw its transaction. */
  readonly notAfter?: { readonly lsn: Lsn; readonly xid: bigint | null } | undefined
}

interface RemoveDeps {
  readonly redis: RedisConnection
  readonly scripts: Scripts
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Deletes the values, leases and absences of these views by SCAN; with `isHistoryNew` also fences. Deleting is always safe (it is an
 * eviction), so keys that were written meanwhile may go too. Marks stay: what was answered may be ahead of where consumers begin
 * anew (P2); those of another history only keep keys cold until they end. Cost: two walks through all of Redis's keys for each view.
 */
export async function removeKeys(
  deps: RemoveDeps,
  views: readonly CompiledView[],
  options: RemoveOptions,
): Promise<number> {
  const suffixes = options.isHistoryNew ? ['lease', 'absent', 'fence'] : ['lease', 'absent']
  let removed = 0
  for (const { kind, template } of views) {
    const { notAfter } = options
    removed += await removeMatching(
      deps,
      template.glob,
      (key) => template.parse(key) !== undefined,
      // A list may have members from before it and from behind it.
      notAfter !== undefined && kind === 'row'
        ? async (keys) =>
            Number(
              await deps.scripts.run('remove-not-after', keys, [
                lsnToFixedHex(notAfter.lsn),
                String(notAfter.xid ?? ''),
              ]),
            )
        : undefined,
    )
    await removeMatching(deps, `{${template.glob}}:*`, (key) => {
      const match = /^\{(.*)\}:([a-z]+)$/s.exec(key)
      return match !== null && suffixes.includes(match[2] ?? '') && template.parse(match[1] ?? '') !== undefined
    })
  }
  return removed
}

async function removeMatching(
  deps: RemoveDeps,
  glob: string,
  isOurs: (key: string) => boolean,
  remove: (keys: readonly string[]) => Promise<number> = async (keys) =>
    Number(await callRedis(deps.redis, ['UNLINK', ...keys], deps.timeoutMs)),
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
    if (keys.length > 0) removed += await remove(keys)
  } while (cursor !== '0')
  return removed
}
