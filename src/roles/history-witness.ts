import { globalKeys } from '../cache/global-keys.ts'
import type { CacheProtocol } from '../cache/protocol.ts'
import { callRedis, type RedisConnection } from '../cache/redis-call.ts'
import type { HistoryWitness, Witnessed } from '../capture/history-witness.ts'
import { type Lsn, LSN_ZERO, maxLsn } from '../change/lsn.ts'
import { positionOf } from '../consume/stored-position.ts'
import { describeError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'

export interface RedisWitness extends HistoryWitness {
  /** Redis has taken something: what it could not take before is tried again. */
  answers(): void
}

const TIMEOUT_MS = 5_000

/**
 * Redis, and this process while it lives, as the witness of how far the database's history went. A Redis that lost data knows of
 * less: then less is found out, and never too much.
 */
export function createRedisWitness(
  deps: {
    readonly redis: RedisConnection
    readonly protocol: Pick<CacheProtocol, 'positions'>
    readonly log: Logger
  },
  options: { readonly keyPrefix: string },
): RedisWitness {
  const { redis, protocol, log } = deps
  const key = globalKeys(options.keyPrefix).followed
  let noted: Pick<Witnessed, 'slotEpoch' | 'connections'> | null = null
  let isOwed = false

  async function store(): Promise<void> {
    if (noted === null) return
    isOwed = false
    try {
      await callRedis(redis, ['SET', key, `${noted.slotEpoch}|${noted.connections}`], TIMEOUT_MS)
    } catch (error) {
      isOwed = true
      log.warn({ error: describeError(error) }, 'Redis does not know yet how often the slot was connected to')
    }
  }

  return {
    async read() {
      try {
        const text = await callRedis(redis, ['GET', key], TIMEOUT_MS)
        const { invalidator, warmer } = await protocol.positions()
        const followed = noted ?? parse(typeof text === 'string' ? text : null)
        return followed && { ...followed, lsn: maxLsn(reached(followed, invalidator), reached(followed, warmer)) }
      } catch (error) {
        if (noted === null) throw error
        return { ...noted, lsn: LSN_ZERO }
      }
    },

    async note(followed) {
      noted = followed
      await store()
    },

    answers() {
      if (isOwed) void store()
    },
  }
}

function parse(text: string | null): Pick<Witnessed, 'slotEpoch' | 'connections'> | null {
  const [, slotEpoch, connections] = /^([^|]+)\|(\d+)$/.exec(text ?? '') ?? []
  return slotEpoch === undefined ? null : { slotEpoch, connections: Number(connections) }
}

/** Positions of another history say nothing of this one. */
function reached({ slotEpoch }: Pick<Witnessed, 'slotEpoch'>, position: string | null): Lsn {
  if (position === null || !position.includes(`.${slotEpoch}|`)) return LSN_ZERO
  try {
    return positionOf(position).commitLsn
  } catch {
    return LSN_ZERO
  }
}
