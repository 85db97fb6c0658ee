/** A process killed while it forgets what it cannot continue: its slot was lost. */
import assert from 'node:assert/strict'

import { waitFor } from '../support/wait-for.ts'
import { commits, killAtEach, type KillSite, type Point, POSITION, runs } from './kill-points.ts'

const POINTS: readonly Point[] = [
  {
    name: 'while it forgets, when the generation is raised and nothing is removed',
    isSlotLost: true,
    async reach(site) {
      await loseSlot(site)
      const before = await generationOf(site)
      const stopped = site.gates.redis.stop('behind', ([name, key]) => name === 'INCR' && key === GENERATION)
      site.start()
      await stopped
      await waitFor(async () => (await generationOf(site)) > before, { what: 'the generation to be raised' })
      assert.notDeepEqual(await site.keysLike('order:status:*'), [])
    },
  },
  {
    name: 'while it forgets, when all is removed and no position is stored',
    isSlotLost: true,
    async reach(site) {
      await loseSlot(site)
      const before = await positionsOf(site)
      const stopped = site.gates.redis.stop('before', runs('reposition'))
      site.start()
      await stopped
      assert.deepEqual(await site.keysLike('order:status:*'), [])
      assert.deepEqual(await positionsOf(site), before)
    },
  },
  {
    name: "while it forgets, when the invalidator's position is stored and the warmer's is not",
    isSlotLost: true,
    async reach(site) {
      await loseSlot(site)
      const before = await positionsOf(site)
      const stopped = site.gates.redis.stop(
        'before',
        runs('reposition', ({ keys }) => keys[0] === POSITION.warmer),
      )
      site.start()
      await stopped
      const [invalidator, warmer] = await positionsOf(site)
      assert.deepEqual([invalidator === before[0], warmer === before[1]], [false, true])
    },
  },
  {
    name: 'while it recovers, when the events that nobody has seen are published and no position is stored',
    isSlotLost: true,
    async reach(site) {
      await loseSlot(site)
      const count = async (): Promise<number> =>
        (await site.sql<{ n: number }[]>`select count(*)::int as n from trackops.domain_events`)[0]?.n ?? 0
      const before = await count()
      const stopped = site.gates.source.stop('behind', commits('insert into trackops.domain_events'))
      site.start()
      await stopped
      await waitFor(async () => (await count()) > before, { what: 'the events' })
    },
  },
  {
    name: 'while both forget apart, when the invalidator has forgotten and the warmer has not',
    areApart: true,
    isSlotLost: true,
    async reach(site) {
      await loseSlot(site)
      const before = await positionsOf(site)
      const stopped = site.gates.redis.stop(
        'before',
        runs('reposition', ({ keys }) => keys[0] === POSITION.warmer),
      )
      site.start(true)
      await stopped
      const [invalidator, warmer] = await positionsOf(site)
      assert.deepEqual([invalidator === before[0], warmer === before[1]], [false, true])
    },
  },
]

const GENERATION = 'trackops:generation'

async function generationOf({ redis }: KillSite): Promise<number> {
  return Number(await redis.get(GENERATION))
}

async function positionsOf({ redis }: KillSite): Promise<readonly (string | null)[]> {
  return await redis.mGet([POSITION.invalidator, POSITION.warmer])
}

/** Nobody runs, changes go by unseen, and the slot is no more. */
async function loseSlot({ kill, changeOrders, sql }: KillSite): Promise<void> {
  await kill()
  await changeOrders()
  await waitFor(() => sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots`, {
    what: 'the slot to be free',
  })
  await changeOrders()
}

await killAtEach(POINTS)
