import assert from 'node:assert/strict'
import { mock, test } from 'node:test'

import fc from 'fast-check'

import type { Batch, BatchOutcome } from '../cache/protocol.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { SILENT } from '../runtime/logger.ts'
import { type ApplyQueue, createApplyQueue } from './apply-queue.ts'

/** Redis as far as a queue of calls can tell: takes them in order, answers in order, and its connection may break. */
function fakeRedis() {
  const stored = { invalidator: 'p0', warmer: 'p0' } as { invalidator: string | null; warmer: string | null }
  const applied: string[] = []
  const arrived: { batch: Batch; resolve: (outcome: BatchOutcome) => void; reject: (error: unknown) => void }[] = []
  const replies: { deliver: () => void; lose: () => void }[] = []
  const unreachable = (): TrackOpsError => new TrackOpsError('REDIS_UNREACHABLE', 'the connection broke')

  function take(): void {
    const call = arrived.shift()
    if (!call) return
    const { batch, resolve, reject } = call
    const isMine =
      (batch.role === 'warm' || stored.invalidator === batch.from.invalidator) &&
      (batch.role === 'invalidate' || stored.warmer === batch.from.warmer)
    const outcome: BatchOutcome = isMine ? { ok: true, refill: [] } : { ok: false, stored: { ...stored } }
    if (isMine) {
      applied.push(batch.to)
      if (batch.role !== 'warm') stored.invalidator = batch.to
      if (batch.role !== 'invalidate') stored.warmer = batch.to
    }
    replies.push({ deliver: () => resolve(outcome), lose: () => reject(unreachable()) })
  }

  return {
    stored,
    applied,
    protocol: {
      apply: (batch: Batch) =>
        new Promise<BatchOutcome>((resolve, reject) => {
          arrived.push({ batch, resolve, reject })
        }),
    },
    isIdle: () => arrived.length === 0 && replies.length === 0,
    /** Executes the next call. */
    take,
    /** Answers the oldest call that was executed. */
    answer: () => replies.shift()?.deliver(),
    /** As at maxmemory: the next call is refused without effect. */
    refuse() {
      const call = arrived.shift()
      if (!call) return
      const fail = (): void => call.reject(new TrackOpsError('REDIS_REFUSED', 'Redis refused EVALSHA: OOM'))
      replies.push({ deliver: fail, lose: () => call.reject(unreachable()) })
    },
    /** The oldest call takes too long for who waits; it will be executed all the same. */
    giveUp() {
      const [reply] = replies
      if (reply) reply.lose()
      else arrived[0]?.reject(unreachable())
    },
    /** All replies that are under way are lost, and the calls that were not executed, too. */
    breakConnection() {
      for (const reply of replies.splice(0)) reply.lose()
      for (const call of arrived.splice(0)) call.reject(unreachable())
    },
  }
}

type Redis = ReturnType<typeof fakeRedis>

const batchOf = (from: string, to: string, role: Batch['role'] = 'both'): Batch => ({
  role,
  from: { invalidator: from, warmer: from },
  to,
  operations: [],
})
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const never = (): AbortSignal => new AbortController().signal

function queueOf(redis: Redis, signal: AbortSignal = never()) {
  const reasons: (string | null)[] = []
  const failures: unknown[] = []
  const onWaiting = (why: string | null): void => void reasons.push(why)
  const onFailed = (error: unknown): void => void failures.push(error)
  const queue = createApplyQueue({ protocol: redis.protocol, log: SILENT, onWaiting, onFailed }, signal)
  return { queue, reasons, failures }
}

/** Adds p0 -> p1 -> ...; gives what was reported as done. */
async function addAll(queue: ApplyQueue, roles: readonly Batch['role'][], done: string[]): Promise<void> {
  for (const [index, role] of roles.entries()) {
    const to = `p${index + 1}`
    await queue.add(batchOf(`p${index}`, to, role), () => done.push(to))
  }
  await queue.drain()
}

/** Pauses pass at once. */
async function withoutPauses<T>(work: (pass: () => void) => Promise<T>): Promise<T> {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    return await work(() => mock.timers.tick(2_000))
  } finally {
    mock.timers.reset()
  }
}

test('batches are on their way together, are reported in order, and one more waits for room', async () => {
  const redis = fakeRedis()
  const done: string[] = []
  const { queue } = queueOf(redis)
  const adding = addAll(queue, ['both', 'both', 'both', 'both'], done)
  await turn()
  redis.take()
  redis.take()
  redis.take()
  redis.take()
  assert.deepEqual(redis.applied, ['p1', 'p2', 'p3'], 'three at once')
  assert.deepEqual(done, [])
  redis.answer()
  await turn()
  redis.take()
  assert.deepEqual(redis.applied, ['p1', 'p2', 'p3', 'p4'])
  for (let answers = 0; answers < 3; answers++) redis.answer()
  await adding
  assert.deepEqual(done, ['p1', 'p2', 'p3', 'p4'])
})

const event = fc.oneof(
  { weight: 5, arbitrary: fc.constant('take' as const) },
  { weight: 5, arbitrary: fc.constant('answer' as const) },
  { weight: 1, arbitrary: fc.constant('refuse' as const) },
  { weight: 1, arbitrary: fc.constant('breakConnection' as const) },
  { weight: 1, arbitrary: fc.constant('giveUp' as const) },
  { weight: 3, arbitrary: fc.constant('pass' as const) },
)

test('L6: whatever fails for a while, Redis takes exactly the given batches in their order, and each is reported once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 60 }), fc.integer({ min: 1, max: 12 }), async (events, count) => {
      await withoutPauses(async (pass) => {
        const redis = fakeRedis()
        const done: string[] = []
        const { queue } = queueOf(redis)
        let isOver = false
        const adding = addAll(
          queue,
          Array.from({ length: count }, () => 'both' as const),
          done,
        ).finally(() => (isOver = true))
        adding.catch(() => undefined)
        for (const happening of events) {
          if (happening === 'pass') pass()
          else redis[happening]()
          await turn()
        }
        for (let rounds = 0; !isOver && rounds < 200; rounds++) {
          pass()
          redis.take()
          redis.answer()
          await turn()
        }
        await adding
        const expected = Array.from({ length: count }, (_, index) => `p${index + 1}`)
        assert.deepEqual(redis.applied, expected)
        assert.deepEqual(done, expected)
      })
    }),
    { numRuns: 300 },
  )
})

test('L6: a connection that breaks takes all replies at once; Redis stands further than the first batch, and that is no mismatch', async () => {
  await withoutPauses(async (pass) => {
    const redis = fakeRedis()
    const done: string[] = []
    const { queue, reasons } = queueOf(redis)
    const adding = addAll(queue, ['both', 'both'], done)
    await turn()
    redis.take()
    redis.take()
    redis.breakConnection()
    for (let rounds = 0; done.length < 2 && rounds < 20; rounds++) {
      await turn()
      pass()
      redis.take()
      redis.answer()
    }
    await adding
    assert.deepEqual(redis.applied, ['p1', 'p2'])
    assert.deepEqual(done, ['p1', 'p2'])
    assert.match(reasons[0] ?? '', /REDIS_UNREACHABLE/)
    assert.equal(reasons.at(-1), null)
  })
})

test('a catch-up of one consumer before both: a lost reply is told by the positions of its own part', async () => {
  await withoutPauses(async (pass) => {
    const redis = fakeRedis()
    redis.stored.warmer = 'p1'
    const done: string[] = []
    const { queue } = queueOf(redis)
    const adding = addAll(queue, ['invalidate', 'both'], done)
    await turn()
    redis.take()
    redis.take()
    redis.breakConnection()
    for (let rounds = 0; done.length < 2 && rounds < 20; rounds++) {
      await turn()
      pass()
      redis.take()
      redis.answer()
    }
    await adding
    assert.deepEqual(redis.applied, ['p1', 'p2'])
    assert.deepEqual(done, ['p1', 'p2'])
  })
})

test('a batch that was added while refused ones are sent again does not go out twice', async () => {
  await withoutPauses(async (pass) => {
    const redis = fakeRedis()
    const done: string[] = []
    const { queue } = queueOf(redis)
    const add = (from: string, to: string): Promise<void> => queue.add(batchOf(from, to), () => done.push(to))
    const first = add('p0', 'p1')
    redis.refuse()
    redis.answer()
    await turn()
    pass()
    await turn()
    // The first goes out again; right behind it a second is added, and both are answered in one go.
    const second = add('p1', 'p2')
    redis.take()
    redis.take()
    redis.answer()
    redis.answer()
    await first
    await second
    await turn()
    assert.equal(redis.isIdle(), true, 'nothing was sent again')
    await queue.drain()
    assert.deepEqual(done, ['p1', 'p2'])
  })
})

test('a position that nobody here has reached ends the queue: nothing more is taken, everybody hears of it', async () => {
  const redis = fakeRedis()
  redis.stored.warmer = 'somebody else'
  const done: string[] = []
  const { queue, failures } = queueOf(redis)
  const adding = addAll(queue, ['both', 'both', 'both', 'both'], done)
  adding.catch(() => undefined)
  await turn()
  for (let calls = 0; calls < 3; calls++) redis.take()
  redis.answer()
  await turn()
  assert.equal(failures.length, 1, 'without another batch, too')
  await assert.rejects(adding, { code: 'POSITION_MISMATCH' })
  await assert.rejects(
    queue.add(batchOf('p4', 'p5'), () => undefined),
    { code: 'POSITION_MISMATCH' },
  )
  await assert.rejects(queue.drain(), { code: 'POSITION_MISMATCH' })
  assert.deepEqual([redis.applied, done], [[], []])
})

test('a mismatch without any doubt is one, even where Redis stands at the place that the batch leads to', async () => {
  const redis = fakeRedis()
  Object.assign(redis.stored, { invalidator: 'p1', warmer: 'p1' })
  const { queue } = queueOf(redis)
  await queue.add(batchOf('p0', 'p1'), () => undefined)
  redis.take()
  redis.answer()
  await assert.rejects(queue.drain(), { code: 'POSITION_MISMATCH' })
})

test('what can never succeed is not tried again', async () => {
  let calls = 0
  const protocol = {
    apply: () => {
      calls++
      return Promise.reject(new TrackOpsError('CONFIG_INVALID', 'two operations of one key'))
    },
  }
  const ignore = (): void => undefined
  const queue = createApplyQueue({ protocol, log: SILENT, onWaiting: ignore, onFailed: ignore }, never())
  await queue.add(batchOf('p0', 'p1'), () => undefined)
  await assert.rejects(queue.drain(), { code: 'CONFIG_INVALID' })
  assert.equal(calls, 1)
})

test('after the signal nothing is sent again, and the queue is idle when the last answer has come', async () => {
  const redis = fakeRedis()
  const aborter = new AbortController()
  const { queue } = queueOf(redis, aborter.signal)
  await queue.add(batchOf('p0', 'p1'), () => undefined)
  await queue.add(batchOf('p1', 'p2'), () => undefined)
  redis.refuse()
  redis.take()
  redis.answer()
  aborter.abort()
  let isIdle = false
  const idle = queue.idle().then(() => (isIdle = true))
  await turn()
  assert.equal(isIdle, false, 'the second is still on its way')
  redis.answer()
  await idle
  assert.deepEqual(redis.applied, [])
  assert.equal(redis.isIdle(), true)
  await assert.rejects(queue.drain(), { code: 'REDIS_REFUSED' })
})
