/** From an INSERT to its key in Redis, with the consumers of one contestant in a process of their own. */
import { type CommitToKey, measureCommitToKey, warmUp } from '../commit-to-key.ts'
import type { Contestant, Role } from './contestants.ts'
import type { Servers } from './servers.ts'

export type Latency = CommitToKey

const WARM_UP_COMMITS = 100

/** For every rate in turn; the consumers run from the first to the last. All three roles, unless the publisher is left out. */
export async function measureLatencies(
  contestant: Contestant,
  servers: Servers,
  options: { readonly rates: readonly number[]; readonly seconds: number; readonly hasPublisher: boolean },
): Promise<readonly Latency[]> {
  const { sql } = servers
  const roles: readonly Role[] = options.hasPublisher
    ? ['invalidator', 'warmer', 'publisher']
    : ['invalidator', 'warmer']
  contestant.start(roles)
  try {
    // What was left to do first, and a little more to be warm.
    await contestant.caughtUp(await servers.ends(), roles)
    await warmUp(sql, WARM_UP_COMMITS)
    await contestant.caughtUp(await servers.ends(), roles)
    const measured: Latency[] = []
    for (const perSecond of options.rates) {
      const followed = { name: contestant.name, sql, redis: contestant.redis }
      measured.push(await measureCommitToKey(followed, { perSecond, seconds: options.seconds }))
    }
    return measured
  } finally {
    await contestant.stop()
  }
}
