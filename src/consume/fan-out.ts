import type { StreamItem } from '../change/change-event.ts'
import type { BatchSource } from './batch.ts'

/** Bounds of what one consumer may have waiting, so that the slowest holds up the stream and not the memory. */
export interface FanOutLimits {
  /** Default 2,000: several calls' worth; more only fills the memory. */
  readonly maxChanges: number
  /** Default 8 MiB. */
  readonly maxBytes: number
}

export const FAN_OUT_LIMITS: FanOutLimits = { maxChanges: 2_000, maxBytes: 8 * 1024 * 1024 }

/** One item costs this much of the bound even if it holds no change. */
const ITEM_BYTES = 64

/**
 * One stream, several readers, each at its own pace and in the stream's order. Nobody gets a copy: items are immutable.
 */
export interface FanOut {
  readonly sources: readonly BatchSource[]
  /** Resolves when every reader has room again: this is what holds the stream back. */
  push(items: readonly StreamItem[], signal: AbortSignal): Promise<void>
  /** No more items will come. */
  end(): void
}

export function createFanOut(readers: number, limits: FanOutLimits = FAN_OUT_LIMITS): FanOut {
  const lanes = Array.from({ length: readers }, () => createLane(limits))
  return {
    sources: lanes,
    async push(items, signal) {
      for (const lane of lanes) lane.put(items)
      for (const lane of lanes) await lane.room(signal)
    },
    end() {
      for (const lane of lanes) lane.end()
    },
  }
}

interface Lane extends BatchSource {
  put(items: readonly StreamItem[]): void
  room(signal: AbortSignal): Promise<void>
  end(): void
}

function createLane(limits: FanOutLimits): Lane {
  let waiting: StreamItem[] = []
  let changes = 0
  let bytes = 0
  let hasEnded = false
  let arrived: (() => void) | undefined
  let drained: (() => void) | undefined

  const isFull = (): boolean => changes >= limits.maxChanges || bytes >= limits.maxBytes

  function take(maxChanges: number): readonly StreamItem[] {
    let count = 0
    let end = 0
    while (end < waiting.length) {
      const next = changesOf(waiting[end])
      if (end > 0 && count + next > maxChanges) break
      count += next
      end++
    }
    const taken = end === waiting.length ? waiting : waiting.slice(0, end)
    waiting = end === waiting.length ? [] : waiting.slice(end)
    for (const item of taken) {
      changes -= changesOf(item)
      bytes -= bytesOf(item)
    }
    if (!isFull()) drained?.()
    return taken
  }

  return {
    put(items) {
      for (const item of items) {
        // Of two reports of progress in a row the later says it all.
        if (item.kind === 'progress' && waiting.at(-1)?.kind === 'progress') waiting[waiting.length - 1] = item
        else {
          waiting.push(item)
          changes += changesOf(item)
          bytes += bytesOf(item)
        }
      }
      arrived?.()
    },

    async room(signal) {
      while (isFull() && !hasEnded) {
        signal.throwIfAborted()
        await untilCalled(signal, (call) => (drained = call))
      }
    },

    async next(batch, signal) {
      while (waiting.length === 0) {
        if (hasEnded || signal.aborted) return undefined
        await untilCalled(signal, (call) => (arrived = call))
      }
      // What waits is delivered again after the next start: whoever stops should not have to work it off.
      return signal.aborted ? undefined : take(batch.changes)
    },

    end() {
      hasEnded = true
      arrived?.()
      drained?.()
    },
  }
}

/** Waits for one call of what `register` is given, or for the abort. */
function untilCalled(signal: AbortSignal, register: (call: (() => void) | undefined) => void): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      register(undefined)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
    register(done)
    if (signal.aborted) done()
  })
}

function changesOf(item: StreamItem | undefined): number {
  return item === undefined || item.kind === 'progress' ? 0 : item.changes.length
}

function bytesOf(item: StreamItem): number {
  return item.kind === 'progress' ? ITEM_BYTES : item.bytes + ITEM_BYTES
}
