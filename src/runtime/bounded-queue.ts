/**
 * The one hand-over between a producer and a consumer that run side by side: bounded by items and by bytes, so that a slow
 * consumer slows its producer instead of filling the memory. One producer that awaits each push, one consumer.
 *
 * Costs no timer and no allocation beyond the items while both keep pace.
 */

export interface BoundedQueueOptions {
  /** Default 1024. */
  readonly maxItems?: number
  /** As the pushes say; default 16 MiB. An item that alone is larger is taken when the queue is empty: it has to pass. */
  readonly maxBytes?: number
}

export interface BoundedQueue<T> extends AsyncIterable<T> {
  /**
   * Resolves when the item is in the queue: at once while there is room. False where the queue was closed, failed or left by its
   * consumer, and the item was not taken.
   */
  push(item: T, bytes?: number): Promise<boolean>
  /** What is in the queue is still delivered, then the consumer's loop ends. */
  close(): void
  /** What is in the queue is dropped; the consumer's loop throws the error. The first close or fail wins. */
  fail(error: unknown): void
  /** Without waiting, up to `max` items that are there already. For batches; not while an iteration is waiting. */
  takeReady(max: number): T[]
  readonly sizeItems: number
  readonly sizeBytes: number
}

type State = { readonly kind: 'open' | 'closed' | 'left' } | { readonly kind: 'failed'; readonly error: unknown }

interface Entry<T> {
  readonly item: T
  readonly bytes: number
}

const DEFAULT_MAX_BYTES = 16 * 1024 * 1024
const CUT_AT = 1024

export function createBoundedQueue<T>(options: BoundedQueueOptions = {}): BoundedQueue<T> {
  const { maxItems = 1024, maxBytes = DEFAULT_MAX_BYTES } = options
  // Places before `head` are empty; they are cut off in one go when they are half of the array and worth it.
  let entries: (Entry<T> | undefined)[] = []
  let head = 0
  let bytes = 0
  let state: State = { kind: 'open' }
  let wakeProducer: (() => void) | undefined
  let wakeConsumer: (() => void) | undefined

  const count = (): number => entries.length - head
  const hasRoom = (size: number): boolean => count() === 0 || (count() < maxItems && bytes + size <= maxBytes)
  const isOpen = (): boolean => state.kind === 'open'

  function wakeBoth(): void {
    wakeProducer?.()
    wakeConsumer?.()
  }

  function end(next: State): void {
    if (!isOpen()) return
    state = next
    if (next.kind !== 'closed') drop()
    wakeBoth()
  }

  function drop(): void {
    entries = []
    head = 0
    bytes = 0
  }

  function take(): Entry<T> | undefined {
    const entry = entries[head]
    if (entry === undefined) return undefined
    entries[head] = undefined
    head += 1
    bytes -= entry.bytes
    if (head === entries.length || (head >= CUT_AT && head * 2 >= entries.length)) {
      entries.splice(0, head)
      head = 0
    }
    wakeProducer?.()
    return entry
  }

  async function* iterate(): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const entry = take()
        if (entry !== undefined) {
          yield entry.item
          continue
        }
        if (state.kind === 'failed') throw state.error
        if (!isOpen()) return
        await new Promise<void>((resolve) => {
          wakeConsumer = resolve
        })
        wakeConsumer = undefined
      }
    } finally {
      // A consumer that breaks off must not leave its producer waiting for room for ever.
      end({ kind: 'left' })
      drop()
      wakeBoth()
    }
  }

  return {
    async push(item, size = 0) {
      while (isOpen() && !hasRoom(size)) {
        if (wakeProducer !== undefined) throw new Error('A bounded queue has one producer, which awaits each push.')
        await new Promise<void>((resolve) => {
          wakeProducer = resolve
        })
        wakeProducer = undefined
      }
      if (!isOpen()) return false
      entries.push({ item, bytes: size })
      bytes += size
      wakeConsumer?.()
      return true
    },
    close: () => end({ kind: 'closed' }),
    fail: (error) => end({ kind: 'failed', error }),
    takeReady(max) {
      const items: T[] = []
      while (items.length < max) {
        const entry = take()
        if (entry === undefined) break
        items.push(entry.item)
      }
      return items
    },
    get sizeItems() {
      return count()
    },
    get sizeBytes() {
      return bytes
    },
    [Symbol.asyncIterator]: iterate,
  }
}
