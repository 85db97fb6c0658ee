/** The cache consumers, killed within a transaction that is too large for one call. */
import assert from 'node:assert/strict'

import { positionOf } from '../../src/consume/stored-position.ts'
import { waitFor } from '../support/wait-for.ts'
import {
  bringsRows,
  callOf,
  FROM,
  killAtEach,
  type KillSite,
  POSITION,
  runs,
  type ScriptCall,
  TO,
} from './kill-points.ts'

type Who = 'invalidator' | 'warmer'

/** Before the call that is meant, when all before it are done. The rows are cached: a change that is lost leaves them stale. */
async function stopInLargeTransaction(
  { gates, sql, redis, caughtUp }: KillSite,
  isMeant: (call: ScriptCall) => boolean,
): Promise<Who> {
  const customer = crypto.randomUUID()
  await sql`insert into orders (customer_id) select ${customer} from generate_series(1, 2100)`
  await caughtUp()
  const stopped = gates.redis.stop(
    'before',
    runs('apply', (call) => bringsRows()(call) && positionOf(fromOf(call)).ordinal > 0 && isMeant(call)),
  )
  await sql`update orders set city = 'Large' where customer_id = ${customer}`
  const call = callOf(await stopped)
  const who = whoOf(call)
  await waitFor(async () => (await redis.get(POSITION[who])) === fromOf(call), { what: 'the calls before it' })
  return who
}

function whoOf({ args }: ScriptCall): Who {
  return args[0] === 'i' ? 'invalidator' : 'warmer'
}

function fromOf(call: ScriptCall): string {
  return call.args[FROM[whoOf(call)]] ?? ''
}

await killAtEach([
  {
    name: 'the cache consumer, between two calls of one large transaction',
    async reach(site) {
      let calls = 0
      await stopInLargeTransaction(site, () => ++calls === 4)
    },
  },
  {
    name: 'both apart, one behind the other within a large transaction, the next time together',
    areApart: true,
    areApartThen: false,
    async reach(site) {
      const sentTo = { invalidator: '', warmer: '' }
      let callsBehindWarmer = 0
      // They go in step, and either may lead. The warmer behind is what leaves fences, so the other way only if that does not come.
      const behind = await stopInLargeTransaction(site, (call) => {
        const who = whoOf(call)
        const to = call.args[TO] ?? ''
        if (who === 'warmer' && sentTo.invalidator >= to) return true
        if (who === 'invalidator' && sentTo.warmer >= to && ++callsBehindWarmer === 5) return true
        sentTo[who] = to
        return false
      })
      if (behind === 'warmer') assert.notDeepEqual(await site.keysLike('{*}:fence'), [])
    },
  },
])
