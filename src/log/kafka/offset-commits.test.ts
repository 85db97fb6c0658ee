import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Consumer } from '@platformatic/kafka'

import { waitFor } from '../../../test/support/wait-for.ts'
import { SILENT } from '../../runtime/logger.ts'
import { createOffsetCommits } from './offset-commits.ts'

function commits(answer: () => Promise<void> = () => Promise.resolve()) {
  const sent: string[] = []
  const consumer = {
    async commit({ offsets }: Parameters<Consumer['commit']>[0]) {
      sent.push(offsets.map(({ topic, partition, offset }) => `${topic}-${partition}@${offset}`).join(' '))
      await answer()
    },
  } as unknown as Consumer
  return { sent, commits: createOffsetCommits(consumer, SILENT) }
}

const A = { topic: 'a', partition: 0 }
const B = { topic: 'b', partition: 1 }

test('of what was added for a partition the last goes out, for all partitions at once', async (t) => {
  const { sent, commits: offsets } = commits()
  t.after(() => offsets.close())
  offsets.add(A, 1n)
  offsets.add(B, 7n)
  offsets.add(A, 2n)
  await offsets.flush()
  await offsets.flush()
  assert.deepEqual(sent, ['a-0@2 b-1@7'])
})

test('what is withdrawn does not go out, and what is on its way has arrived before that is said', async (t) => {
  const answered = Promise.withResolvers<void>()
  const { sent, commits: offsets } = commits(() => answered.promise)
  t.after(() => offsets.close())
  offsets.add(A, 1n)
  const flushing = offsets.flush()
  await waitFor(() => sent.length === 1, { what: 'it to be on its way' })
  offsets.add(A, 2n)
  offsets.add(B, 3n)
  let isWithdrawn = false
  const withdrawing = offsets.withdraw(A).then(() => (isWithdrawn = true))
  await Promise.resolve()
  assert.equal(isWithdrawn, false)
  answered.resolve()
  await Promise.all([withdrawing, flushing])
  await offsets.flush()
  assert.deepEqual(sent, ['a-0@1', 'b-1@3'])
})

test('a commit that fails is no failure of the consumer', async (t) => {
  const { sent, commits: offsets } = commits(() => Promise.reject(new Error('no')))
  t.after(() => offsets.close())
  offsets.add(A, 1n)
  await offsets.flush()
  assert.deepEqual(sent, ['a-0@1'])
})
