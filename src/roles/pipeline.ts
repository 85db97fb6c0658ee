import type { Capture, CaptureStatus } from '../capture/capture.ts'
import { type Lsn, minLsn } from '../change/lsn.ts'
import { parseSnapshot } from '../change/transaction-id.ts'
import { createFanOut } from '../consume/fan-out.ts'
import type { ConsumerStatus, StreamConsumer, StreamContext } from '../consume/stream-consumer.ts'
import { createTurns } from '../runtime/turns.ts'
import type { Visibility } from '../consume/visibility.ts'
import type { Logger } from '../runtime/logger.ts'
import { createPasses, type PassesStatus } from './passes.ts'

export interface PipelineDeps {
  readonly openCapture: (signal: AbortSignal) => Promise<Capture>
  readonly createVisibility: (capture: Capture) => Visibility
  readonly consumers: readonly StreamConsumer[]
  readonly log: Logger
}

export interface PipelineOptions {
  /** How often what is durable is acked to PostgreSQL. Default 500 ms. */
  readonly ackEveryMs?: number
  /** How often an idle server is asked how far it has got, so that its slot moves. Default 5 s. */
  readonly progressEveryMs?: number
}

/**
 * Capture and the consumers that share its slot, as one thing that is run. Each pass opens the slot anew, and every consumer finds
 * from its stored position what it has to do.
 */
export interface Pipeline {
  run(signal: AbortSignal): Promise<void>
  status(): PipelineStatus
  /** Makes an idle server report its position soon. */
  requestProgress(): void
}

export interface PipelineStatus extends PassesStatus {
  /** Changes are being delivered, or caught up with. */
  readonly isFlowing: boolean
  /** Null where changes come by topics. */
  readonly capture: CaptureStatus | null
  readonly consumers: readonly ConsumerStatus[]
}

export function createPipeline(deps: PipelineDeps, options: PipelineOptions = {}): Pipeline {
  const { log, consumers } = deps
  const ackEveryMs = options.ackEveryMs ?? 500
  const progressEveryMs = options.progressEveryMs ?? 5_000
  const passes = createPasses(log, 'the change stream')
  let capture: Capture | undefined

  async function pass(signal: AbortSignal, started: () => void): Promise<void> {
    const opened = await deps.openCapture(signal)
    capture = opened
    try {
      const context: StreamContext = {
        history: opened.history,
        resumeLsn: opened.resumeLsn,
        visibleBefore: opened.visibleBefore === null ? null : parseSnapshot(opened.visibleBefore),
        visibility: deps.createVisibility(opened),
        inTurn: createTurns(),
      }
      started()
      await flow(opened, context, signal)
    } finally {
      await opened.close()
    }
  }

  /** Ends with the signal, or when one of the parts fails. */
  async function flow(opened: Capture, context: StreamContext, signal: AbortSignal): Promise<void> {
    const stop = new AbortController()
    const either = AbortSignal.any([signal, stop.signal])
    const fanOut = createFanOut(consumers.length)
    const pump = async (): Promise<void> => {
      try {
        for await (const items of opened.batches(either)) await fanOut.push(items, either)
      } finally {
        fanOut.end()
      }
    }
    // Each run begins by letting go of what it made durable before, and all of them begin before the first ack.
    const parts = [
      pump(),
      ...consumers.map(async (consumer, index) => {
        const source = fanOut.sources[index]
        if (source) await consumer.run(source, context, either)
      }),
    ]
    const acking = setInterval(() => ackDurable(opened, consumers), ackEveryMs)
    const asking = setInterval(() => opened.requestProgress(), progressEveryMs)
    try {
      await firstFailure(parts, stop)
      ackDurable(opened, consumers)
    } finally {
      clearInterval(acking)
      clearInterval(asking)
    }
  }

  return {
    run: (signal) => passes.run(pass, signal),

    status() {
      const flowing = capture?.status() ?? null
      return {
        ...passes.status(),
        isFlowing: flowing?.state === 'streaming' || flowing?.state === 'snapshot',
        capture: flowing,
        consumers: consumers.map((consumer) => consumer.status()),
      }
    },

    requestProgress: () => capture?.requestProgress(),
  }
}

/**
 * L1: the slot is acked up to what every consumer has made durable, and no further. Where the stream began is no news, and would
 * tell the capture that its snapshot was applied, of whose rows no position speaks.
 */
function ackDurable(capture: Capture, consumers: readonly StreamConsumer[]): void {
  let slowest: Lsn | null = null
  for (const consumer of consumers) {
    const durable = consumer.durableLsn()
    if (durable === null) return
    slowest = slowest === null ? durable : minLsn(slowest, durable)
  }
  if (slowest !== null && slowest > capture.resumeLsn) capture.ack(slowest)
}

/** Ends all parts when one ends, waits for all of them, and throws what failed first; that they were stopped is no failure. */
async function firstFailure(parts: readonly Promise<void>[], stop: AbortController): Promise<void> {
  let failed: { readonly error: unknown } | undefined
  await Promise.all(
    parts.map(async (part) => {
      try {
        await part
      } catch (error) {
        if (!stop.signal.aborted || error !== stop.signal.reason) failed ??= { error }
      }
      stop.abort()
    }),
  )
  if (failed) throw failed.error
}
