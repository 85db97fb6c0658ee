import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { StreamItem } from '../change/change-event.ts'
import type { BatchSource } from './batch.ts'
import { insert, progress, transaction } from './change-fixture.ts'
import { createFanOut } from './fan-out.ts'

const LIMITS = { maxChanges: 4, maxBytes: 1_000_000 }
const row = insert({ id: '1' })
const never = (): AbortSignal => new AbortController().signal

function lanes(count: number, limits = LIMITS) {
  const fanOut = createFanOut(count, limits)
  const [first, second] = fanOut.sources
  if (!first) throw new Error('no lane')
  return { fanOut, first, second: second ?? first }
}

/** True when it is settled after everything that can happen without the outside has happened. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const note = (): void => {
    settled = true
  }
  promise.then(note, note)
  await new Promise((resolve) => setImmediate(resolve))
  return settled
}

async function readAll(source: BatchSource, changes: number): Promise<StreamItem[]> {
  const items: StreamItem[] = []
  for (;;) {
    const batch = await source.next({ changes }, never())
    if (!batch) return items
    items.push(...batch)
  }
}

test('every reader gets every item, in order, at its own pace', async () => {
  const { fanOut, first, second } = lanes(2)
  const items = Array.from({ length: 30 }, (_, index) => transaction((index + 1) * 10, [row, row]))
  const reading = [readAll(first, 3), readAll(second, 7)]
  for (const item of items) await fanOut.push([item], never())
  fanOut.end()
  assert.deepEqual(await Promise.all(reading), [items, items])
})

test('the slowest reader holds the stream back: no more waits for it than its bound and one item', async () => {
  const { fanOut, first, second } = lanes(2)
  const reading = readAll(first, 100)
  let pushed = 0
  const pushing = (async () => {
    for (; pushed < 50; pushed++) await fanOut.push([transaction((pushed + 1) * 10, [row, row])], never())
    fanOut.end()
  })()
  assert.equal(await isSettled(pushing), false)
  assert.equal(pushed, 1, 'two items, four changes: the second push waits for room')
  assert.equal((await second.next({ changes: 2 }, never()))?.length, 1)
  assert.equal(await isSettled(pushing), false)
  assert.equal(pushed, 2)
  const slow = await readAll(second, 1)
  assert.equal(slow.length, 49)
  assert.equal((await reading).length, 50)
})

test('bytes are bounded as changes are; an item that is larger than the bound passes alone', async () => {
  const { fanOut, first } = lanes(1, { maxChanges: 1000, maxBytes: 500 })
  const large = { ...transaction(10, [row]), bytes: 10_000 }
  const pushing = fanOut.push([large], never())
  assert.equal(await isSettled(pushing), false)
  assert.deepEqual(await first.next({ changes: 10 }, never()), [large])
  await pushing
})

test('a batch has as much as there is, up to its bound, and one item at least', async () => {
  const { fanOut, first } = lanes(1, { maxChanges: 100, maxBytes: 1_000_000 })
  const items = [transaction(10, [row, row, row]), transaction(20, [row]), progress(25), transaction(30, [row])]
  for (const item of items) await fanOut.push([item], never())
  assert.deepEqual(await first.next({ changes: 1 }, never()), items.slice(0, 1))
  assert.deepEqual(await first.next({ changes: 1 }, never()), items.slice(1, 3))
  assert.deepEqual(await first.next({ changes: 1 }, never()), items.slice(3))
})

test('of reports of progress in a row the last remains, and takes no more room than one', async () => {
  const { fanOut, first } = lanes(1, { maxChanges: 1000, maxBytes: 1000 })
  for (let number = 1; number <= 1000; number++) await fanOut.push([progress(number)], never())
  assert.deepEqual(await first.next({ changes: 10 }, never()), [progress(1000)])
  await fanOut.push([progress(1001)], never())
  await fanOut.push([transaction(1010, [row])], never())
  await fanOut.push([progress(1020)], never())
  const kinds = (await first.next({ changes: 10 }, never()))?.map(({ kind }) => kind)
  assert.deepEqual(kinds, ['progress', 'transaction', 'progress'], 'but none passes a transaction')
})

test('a reader that waits is woken by an item', async () => {
  const { fanOut, first } = lanes(1)
  const reading = first.next({ changes: 10 }, never())
  assert.equal(await isSettled(reading), false)
  await fanOut.push([progress(1)], never())
  assert.deepEqual(await reading, [progress(1)])
})

test('the end wakes every reader and the writer; what waits is still delivered', async () => {
  const { fanOut, first, second } = lanes(2)
  await fanOut.push([progress(1)], never())
  await first.next({ changes: 10 }, never())
  const waiting = first.next({ changes: 10 }, never())
  fanOut.end()
  assert.equal(await waiting, undefined)
  assert.deepEqual(await second.next({ changes: 10 }, never()), [progress(1)])
  assert.equal(await second.next({ changes: 10 }, never()), undefined)
  const full = lanes(1)
  const pushing = full.fanOut.push([transaction(10, [row, row, row, row])], never())
  assert.equal(await isSettled(pushing), false)
  full.fanOut.end()
  await pushing
})

test('an abort wakes every reader and the writer, and nobody has to work off what waits', async () => {
  const { fanOut, first, second } = lanes(2)
  const aborter = new AbortController()
  const pushing = fanOut.push([transaction(10, [row, row, row, row])], aborter.signal)
  assert.equal((await first.next({ changes: 10 }, aborter.signal))?.length, 1)
  const waiting = first.next({ changes: 10 }, aborter.signal)
  aborter.abort(new Error('enough'))
  assert.equal(await waiting, undefined)
  assert.equal(await second.next({ changes: 10 }, aborter.signal), undefined)
  await assert.rejects(pushing, /enough/)
})
