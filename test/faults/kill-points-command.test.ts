/** `trackops forget` killed midway, beside a system that runs: what it leaves behind is right, and it can be run again. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import type { RedisCommand } from '../support/wire-messages.ts'
import { killSite, runs } from './kill-points.ts'

interface Point {
  readonly name: string
  readonly place: 'within' | 'behind'
  readonly isMeant: (command: RedisCommand) => boolean
}

const POINTS: readonly Point[] = [
  {
    name: 'forget, when the fills of one view are ended and those of the others are not',
    place: 'behind',
    isMeant: runs('raise-view-fence'),
  },
  {
    name: 'forget, when half of its first removal has reached Redis',
    place: 'within',
    isMeant: ([name]) => name === 'UNLINK',
  },
  {
    name: 'forget, when one view is removed and the others are not',
    place: 'behind',
    isMeant: ([name, key]) => name === 'UNLINK' && key?.startsWith('order:entity:') === true,
  },
]

const site = await killSite({ after })
await site.start().ready()

for (const { name, place, isMeant } of POINTS) {
  test(`killed: ${name}. Nothing is stale, and run again it ends`, async () => {
    await cacheOrders()
    const stopped = site.gates.command.stop(place, isMeant)
    const command = site.forget()
    await stopped
    // The next changes of the same orders, while it is there and when it is not.
    await site.changeOrders()
    await command.end('SIGKILL')
    const made = await site.changeOrders()
    await site.assertAllIsRight()
    // What is new is warmed, also where it had begun.
    assert.equal(await site.redis.exists(made.map((id) => `order:entity:${id}`)), made.length)
    await forgetAgain()
  })
}

test('killed: forget, under a reader that has read what forget is to remove. It stays removed, and run again all is right', async () => {
  const { gates, redis, sql } = site
  const [order] = (await cacheOrders()).slice(-1)
  const command = site.forget()
  const goOn = await gates.command.hold((said) => said[0] === 'SCAN' || runs('raise-view-fence')(said))
  await redis.del(`order:entity:${order}`)
  const settling = gates.redis.hold(runs('settle'))
  const reading = fetch(`${site.orderUrl}/api/orders/${order}`)
  const settle = await settling
  // No event tells of it: that is what forget is for.
  await sql`alter table orders alter column total_amount type numeric(12, 2) using total_amount + 1`
  const stopped = gates.command.stop('before', ([name, , , glob]) => name === 'SCAN' && glob === '{order:entity:*}:*')
  goOn()
  await stopped
  settle()
  assert.equal((await reading).status, 200)
  await command.end('SIGKILL')
  assert.deepEqual(await site.keysLike('order:entity:*'), [])
  assert.notDeepEqual(await site.keysLike('orders:customer:*'), [])
  await forgetAgain()
})

/** Entities, statuses, and the lists that are read. */
async function cacheOrders(): Promise<readonly string[]> {
  const made = await site.changeOrders()
  await site.caughtUp()
  await site.readOrders()
  return made
}

async function forgetAgain(): Promise<void> {
  const { exitCode, stdout, stderr } = await site.forget().ended
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' })
  assert.match(stdout, /^all views: [1-9]\d* keys forgotten$/m)
  await site.changeOrders()
  await site.assertAllIsRight()
}
