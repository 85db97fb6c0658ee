import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'

import fc from 'fast-check'

import { type BoundedQueue, createBoundedQueue } from './bounded-queue.ts'

test('every item arrives once and in order, and neither bound is passed, whatever the pace of the two', async () => {
  const item = fc.record({ bytes: fc.nat(40), producerTurns: fc.nat(2), consumerTurns: fc.nat(2) })
  const bounds = fc.record({ maxItems: fc.integer({ min: 1, max: 5 }), maxBytes: fc.integer({ min: 1, max: 60 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 30 }), bounds, async (items, { maxItems, maxBytes }) => {
      const queue = createBoundedQueue<number>({ maxItems, maxBytes })
      const produce = async (): Promise<void> => {
        for (const [index, { bytes, producerTurns }] of items.entries()) {
          for (let i = 0; i < producerTurns; i += 1) await turn()
          assert.equal(await queue.push(index, bytes), true)
          assert.ok(queue.sizeItems <= maxItems)
          assert.ok(queue.sizeBytes <= maxBytes || queue.sizeItems === 1, 'an item too large is there alone')
        }
        queue.close()
      }
      const received: number[] = []
      const consume = async (): Promise<void> => {
        for await (const index of queue) {
          received.push(index)
          for (let i = 0; i < (items[index]?.consumerTurns ?? 0); i += 1) await turn()
        }
      }
      await Promise.all([produce(), consume()])
      assert.deepEqual(received, [...items.keys()])
      assert.deepEqual([queue.sizeItems, queue.sizeBytes], [0, 0])
    }),
    { numRuns: 60 },
  )
})

test('a push waits for room, and goes on when the consumer has taken one', async () => {
  const queue = createBoundedQueue<string>({ maxItems: 1 })
  await queue.push('first')
  let isIn = false
  const second = queue.push('second').then((taken) => (isIn = taken))
  await turn()
  assert.equal(isIn, false)
  assert.deepEqual(queue.takeReady(1), ['first'])
  await second
  assert.deepEqual(queue.takeReady(10), ['second'])
})

test('a closed queue delivers what it has, then ends; pushing to it says no', async () => {
  const queue = createBoundedQueue<string>()
  await queue.push('kept')
  queue.close()
  assert.equal(await queue.push('late'), false)
  assert.deepEqual(await collect(queue), ['kept'])
})

test('a failed queue drops what it has and throws its error, to a waiting consumer too', async () => {
  const queue = createBoundedQueue<string>()
  const waiting = collect(queue)
  await turn()
  queue.fail(new Error('first'))
  queue.fail(new Error('second'))
  await assert.rejects(waiting, /first/)

  const full = createBoundedQueue<string>()
  await full.push('dropped')
  full.fail(new Error('gone'))
  await assert.rejects(collect(full), /gone/)
})

test('a consumer that leaves, and a failure, set a waiting producer free', async () => {
  const queue = createBoundedQueue<number>({ maxItems: 1 })
  await queue.push(1)
  const waiting = queue.push(2)
  for await (const first of queue) {
    assert.equal(first, 1)
    break
  }
  await waiting
  assert.equal(await queue.push(3), false)
  assert.equal(queue.sizeItems, 0)

  const failing = createBoundedQueue<number>({ maxItems: 1 })
  await failing.push(1)
  const second = failing.push(2)
  failing.fail(new Error('over'))
  assert.equal(await second, false)
})

test('a second producer is an error, not a lost item', async () => {
  const queue = createBoundedQueue<number>({ maxItems: 1 })
  await queue.push(1)
  const waiting = queue.push(2)
  await assert.rejects(queue.push(3), /one producer/)
  assert.deepEqual(queue.takeReady(1), [1])
  assert.equal(await waiting, true)
})

async function collect<T>(queue: BoundedQueue<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of queue) items.push(item)
  return items
}
