import assert from 'node:assert/strict'
import { test } from 'node:test'

import { defer, type TestScope } from '../../test/support/defer.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import type { Capture } from '../capture/capture.ts'
import type { StreamItem } from '../change/change-event.ts'
import type { Lsn } from '../change/lsn.ts'
import { HISTORY, lsn, progress, visibilityOf } from '../consume/change-fixture.ts'
import type { BatchSource } from '../consume/batch.ts'
import type { StreamConsumer, StreamContext } from '../consume/stream-consumer.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { SILENT } from '../runtime/logger.ts'
import { createPipeline, type Pipeline } from './pipeline.ts'

interface FakeCapture extends Capture {
  readonly acks: Lsn[]
  isClosed: boolean
  /** Ends the stream with this error. */
  readonly fail: (error: unknown) => void
}

/** Gives its items, then nothing more until it fails or is stopped. */
function captureOf(resumeLsn: number, items: readonly StreamItem[] = []): FakeCapture {
  const failing = Promise.withResolvers<void>()
  failing.promise.catch(() => undefined)
  const acks: Lsn[] = []
  return {
    acks,
    isClosed: false,
    fail: failing.reject,
    history: HISTORY,
    resumeLsn: lsn(resumeLsn),
    snapshot: 'none',
    visibleBefore: null,
    stream: () => assert.fail('whoever feeds several consumers takes what there is'),
    async *batches(signal) {
      yield items
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve()
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      await Promise.race([failing.promise, aborted])
    },
    ack: (acked) => void acks.push(acked),
    requestProgress: () => undefined,
    rewind: () => undefined,
    status: () => ({
      state: 'streaming',
      receivedLsn: lsn(0),
      ackedLsn: lsn(0),
      serverLsn: lsn(0),
      reconnections: 0,
    }),
    close() {
      this.isClosed = true
      return Promise.resolve()
    },
  }
}

type Run = (source: BatchSource, context: StreamContext, signal: AbortSignal, pass: number) => Promise<void>

interface FakeConsumer extends StreamConsumer {
  durable: Lsn | null
  runs: number
}

async function readToEnd(source: BatchSource, _context: StreamContext, signal: AbortSignal): Promise<void> {
  while ((await source.next({ changes: 100 }, signal)) !== undefined);
}

function consumerOf(name: string, run: Run = readToEnd): FakeConsumer {
  return {
    name,
    durable: null,
    runs: 0,
    async run(source, context, signal) {
      this.durable = null
      await run(source, context, signal, ++this.runs)
    },
    durableLsn() {
      return this.durable
    },
    status: () => ({ name, group: name, appliedPosition: null, processedCount: 0, state: 'running', reason: null }),
  }
}

interface Running {
  readonly pipeline: Pipeline
  readonly ended: Promise<void>
  readonly stop: () => Promise<void>
}

function start(
  scope: TestScope,
  consumers: readonly StreamConsumer[],
  openCapture: (pass: number) => Capture | Promise<Capture>,
): Running {
  let passes = 0
  const pipeline = createPipeline(
    {
      consumers,
      log: SILENT,
      openCapture: async () => await openCapture(++passes),
      createVisibility: () => visibilityOf(),
    },
    { ackEveryMs: 1 },
  )
  const aborter = new AbortController()
  const ended = pipeline.run(aborter.signal)
  ended.catch(() => undefined)
  const stop = async (): Promise<void> => {
    aborter.abort()
    await ended
  }
  defer(scope, () => stop().catch(() => undefined))
  return { pipeline, ended, stop }
}

/** Room for what must not happen: an ack timer's every millisecond, some times over. */
const turns = async (count = 20): Promise<void> => {
  for (let number = 0; number < count; number++) await new Promise((resolve) => setTimeout(resolve, 1))
}

test('L1: the slot is acked up to what the slowest consumer has made durable, and not before every one has', async (t) => {
  const capture = captureOf(10)
  const [first, second] = [consumerOf('first'), consumerOf('second')]
  const { stop } = start(t, [first, second], () => capture)
  await waitFor(() => first.runs === 1 && second.runs === 1, { what: 'both to run' })
  first.durable = lsn(50)
  await turns()
  assert.deepEqual(capture.acks, [], 'the second has nothing durable yet')
  second.durable = lsn(40)
  await waitFor(() => capture.acks.at(-1) === lsn(40), { what: 'an ack' })
  second.durable = lsn(60)
  await waitFor(() => capture.acks.at(-1) === lsn(50), { what: 'the next ack' })
  await stop()
  assert.ok(capture.acks.every((acked) => acked <= lsn(50)))
})

test('L1: where the stream began is not acked: it would tell the capture that its snapshot was applied', async (t) => {
  const capture = captureOf(10)
  const consumer = consumerOf('only')
  const { stop } = start(t, [consumer], () => capture)
  await waitFor(() => consumer.runs === 1, { what: 'it to run' })
  consumer.durable = lsn(10)
  await turns()
  await stop()
  assert.deepEqual(capture.acks, [])
})

test('L1: nothing that was durable in an earlier pass is acked in the next', async (t) => {
  const captures = [captureOf(10), captureOf(10)]
  const mayGoOn = Promise.withResolvers<void>()
  const consumer = consumerOf('only', async (source, context, signal, pass) => {
    if (pass === 2) await mayGoOn.promise
    await readToEnd(source, context, signal)
  })
  const { stop } = start(t, [consumer], (pass) => captures[pass - 1] ?? captureOf(10))
  await waitFor(() => consumer.runs === 1, { what: 'it to run' })
  consumer.durable = lsn(500)
  await waitFor(() => captures[0]?.acks.length, { what: 'an ack' })
  captures[0]?.fail(new TrackOpsError('HISTORY_CHANGED', 'another history'))
  await waitFor(() => consumer.runs === 2, { what: 'the second pass' })
  await turns()
  assert.deepEqual(captures[1]?.acks, [])
  mayGoOn.resolve()
  await stop()
})

test('a consumer that cannot go on ends the pass for all, and the next one begins anew, at once', async (t) => {
  const captures: FakeCapture[] = []
  const other = consumerOf('other')
  const failing = consumerOf('failing', async (source, context, signal, pass) => {
    if (pass <= 2) throw new TrackOpsError('POSITION_MISMATCH', 'Redis has lost writes')
    await readToEnd(source, context, signal)
  })
  const { pipeline, stop } = start(t, [other, failing], () => {
    const capture = captureOf(10)
    captures.push(capture)
    return capture
  })
  await waitFor(() => failing.runs === 3, { what: 'the third pass' })
  assert.deepEqual(
    captures.map(({ isClosed }) => isClosed),
    [true, true, false],
  )
  assert.equal(other.runs, 3)
  assert.deepEqual([pipeline.status().state, pipeline.status().passes], ['running', 3])
  await stop()
  assert.equal(pipeline.status().state, 'stopped')
})

test('a stream that breaks is opened again, and the reason is told meanwhile', async (t) => {
  const opening = Promise.withResolvers<Capture>()
  const first = captureOf(10)
  const { pipeline, stop } = start(t, [consumerOf('only')], (pass) => (pass === 1 ? first : opening.promise))
  await waitFor(() => pipeline.status().state === 'running', { what: 'the first pass' })
  first.fail(new TrackOpsError('SLOT_LOST', 'the slot is gone'))
  await waitFor(() => pipeline.status().state === 'waiting', { what: 'it to wait' })
  assert.match(pipeline.status().reason ?? '', /the slot is gone \[SLOT_LOST\]/)
  opening.resolve(captureOf(10))
  await waitFor(() => pipeline.status().state === 'running', { what: 'the second pass' })
  assert.equal(pipeline.status().reason, null)
  await stop()
})

test('a database that cannot be opened is tried again, without end', async (t) => {
  const { pipeline, stop } = start(t, [consumerOf('only')], (pass) => {
    if (pass < 4) throw new TrackOpsError('POSTGRES_UNREACHABLE', 'not there')
    return captureOf(10)
  })
  await waitFor(() => pipeline.status().state === 'running', { what: 'it to be there' })
  assert.equal(pipeline.status().passes, 4)
  await stop()
})

test('what will fail again stops it: the reason is told, and the others are stopped first', async (t) => {
  const capture = captureOf(10)
  let isOtherOver = false
  const other = consumerOf('other', (source, context, signal) =>
    readToEnd(source, context, signal).finally(() => (isOtherOver = true)),
  )
  const failing = consumerOf('failing', () => Promise.reject(new TrackOpsError('DECODE', 'unknown')))
  const { pipeline, ended } = start(t, [other, failing], () => capture)
  await assert.rejects(ended, { code: 'DECODE' })
  assert.deepEqual([isOtherOver, capture.isClosed, pipeline.status().state], [true, true, 'stopped'])
  assert.match(pipeline.status().reason ?? '', /DECODE/)
})

test('that the others were stopped is no failure of theirs: what failed first counts', async (t) => {
  const stopped = consumerOf('stopped', async (_source, _context, signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    signal.throwIfAborted()
  })
  const first = captureOf(10)
  const endsEarly = consumerOf('ends early', (_source, _context, _signal, pass) =>
    pass === 1 ? Promise.resolve() : readToEnd(_source, _context, _signal),
  )
  const { pipeline, stop } = start(t, [stopped, endsEarly], (pass) => (pass === 1 ? first : captureOf(10)))
  await waitFor(() => pipeline.status().passes === 2 && pipeline.status().state === 'running', {
    what: 'the second pass: an unknown error would have stopped it',
  })
  await stop()
})

test('an abort ends it: while it opens, while it runs, and while it waits for the next try', async (t) => {
  const waiting = start(t, [consumerOf('only')], () => {
    throw new TrackOpsError('WAL_LEVEL', 'wal_level is replica')
  })
  await waitFor(() => waiting.pipeline.status().state === 'waiting', { what: 'it to wait' })
  await waiting.stop()

  const capture = captureOf(10, [progress(20)])
  const running = start(t, [consumerOf('only')], () => capture)
  await waitFor(() => running.pipeline.status().state === 'running', { what: 'it to run' })
  await running.stop()
  assert.equal(capture.isClosed, true)

  const aborter = new AbortController()
  const pipeline = createPipeline({
    consumers: [],
    log: SILENT,
    openCapture: (signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }),
      ),
    createVisibility: () => visibilityOf(),
  })
  const ended = pipeline.run(aborter.signal)
  aborter.abort()
  await ended
})

test('each consumer gets the whole stream, with the context of its opening', async (t) => {
  const items = [progress(20), progress(30)]
  const seen: unknown[] = []
  const reading = (name: string) =>
    consumerOf(name, async (source, context, signal) => {
      for (;;) {
        const batch = await source.next({ changes: 100 }, signal)
        if (!batch) return
        seen.push([name, batch.at(-1), context.resumeLsn])
      }
    })
  const { stop } = start(t, [reading('first'), reading('second')], () => captureOf(10, items))
  const last = (name: string): boolean =>
    seen.some((entry) => Array.isArray(entry) && entry[0] === name && entry[1] === items[1] && entry[2] === lsn(10))
  await waitFor(() => last('first') && last('second'), { what: 'both to have it all' })
  await stop()
})
