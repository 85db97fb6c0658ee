/** The cache consumers, killed at each point of a call: together, and apart. */
import assert from 'node:assert/strict'

import { parseLsn } from '../../src/change/lsn.ts'
import { positionOf } from '../../src/consume/stored-position.ts'
import { waitFor } from '../support/wait-for.ts'
import { bringsRows, callOf, FROM, killAtEach, type Point, POSITION, runs, TO } from './kill-points.ts'

const FENCE_OF_ITEMS = 'trackops:fence:order-items'

const POINTS: readonly Point[] = [
  {
    name: 'the cache consumer, before its call reaches Redis',
    async reach({ gates, redis, changeOrders }) {
      const stopped = gates.redis.stop('before', runs('apply', bringsRows()))
      await changeOrders()
      const { args } = callOf(await stopped)
      assert.equal(await redis.get(POSITION.warmer), args[FROM.warmer])
    },
  },
  {
    name: 'the cache consumer, when half of its call has reached Redis',
    async reach({ gates, redis, changeOrders }) {
      const stopped = gates.redis.stop('within', runs('apply', bringsRows()))
      await changeOrders()
      const { args } = callOf(await stopped)
      assert.equal(await redis.get(POSITION.warmer), args[FROM.warmer])
    },
  },
  {
    name: 'the cache consumer, when Redis has done its call and not answered',
    async reach({ gates, redis, changeOrders }) {
      const stopped = gates.redis.stop('behind', runs('apply', bringsRows()))
      await changeOrders()
      const { args } = callOf(await stopped)
      await waitFor(async () => (await redis.get(POSITION.warmer)) === args[TO], { what: 'the call to be done' })
    },
  },
  {
    name: 'the cache consumer, when Redis has its position and PostgreSQL has not',
    async reach({ gates, sql, redis, changeOrders }) {
      await changeOrders()
      const [written] = await sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
      const lsn = parseLsn(written?.lsn ?? '')
      // Not the commits themselves: whatever else is written stands behind them.
      await gates.source.stop('before', ({ ackedLsn }) => ackedLsn !== null && ackedLsn >= lsn)
      assert.ok(positionOf((await redis.get(POSITION.warmer)) ?? '').commitLsn >= lsn)
      const [slot] = await sql`select confirmed_flush_lsn >= ${written?.lsn ?? ''} as is_told from pg_replication_slots`
      assert.equal(slot?.['is_told'], false)
    },
  },
  {
    name: 'the invalidator apart, when Redis has done its call and not answered',
    areApart: true,
    async reach({ gates, redis, changeOrders }) {
      const stopped = gates.redis.stop('behind', runs('apply', bringsRows('i')))
      await changeOrders()
      const { args } = callOf(await stopped)
      await waitFor(async () => (await redis.get(POSITION.invalidator)) === args[TO], { what: 'the call to be done' })
    },
  },
  {
    name: 'the warmer apart, when Redis has done its call and not answered',
    areApart: true,
    async reach({ gates, redis, changeOrders }) {
      const stopped = gates.redis.stop('behind', runs('apply', bringsRows('w')))
      await changeOrders()
      const { args } = callOf(await stopped)
      await waitFor(async () => (await redis.get(POSITION.warmer)) === args[TO], { what: 'the call to be done' })
    },
  },
  {
    name: 'the cache consumer, when a view is truncated and its position is not stored',
    async reach({ gates, sql, redis, keysLike }) {
      assert.notDeepEqual(await keysLike('order:items:*'), [])
      const before = await redis.get(FENCE_OF_ITEMS)
      const stopped = gates.redis.stop(
        'behind',
        runs('raise-view-fence', ({ keys }) => keys[0] === FENCE_OF_ITEMS),
      )
      await sql`truncate order_items`
      await stopped
      await waitFor(async () => (await redis.get(FENCE_OF_ITEMS)) !== before, { what: 'the fence to be raised' })
    },
  },
]

await killAtEach(POINTS)
