import { TrackOpsError } from '../runtime/errors.ts'

export interface Limiter {
  /** @throws TrackOpsError DATABASE_BUSY if the queue is full, or the wait too long */
  run<T>(work: () => Promise<T>): Promise<T>
  readonly running: number
  readonly waiting: number
}

export interface LimiterOptions {
  readonly concurrency: number
  /** Beyond so many that wait, the next is refused at once. */
  readonly queueLength: number
  readonly maxWaitMs: number
}

/** All reads of the database on behalf of the cache go through one of these, so that a cold cache cannot bring it down (L6). */
export function createLimiter(options: LimiterOptions): Limiter {
  const queue = new Set<() => void>()
  let running = 0

  async function enter(): Promise<void> {
    if (running < options.concurrency) {
      running++
      return
    }
    if (queue.size >= options.queueLength) throw busy(`${queue.size} reads wait already`)
    await new Promise<void>((resolve, reject) => {
      const start = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        queue.delete(start)
        reject(busy(`no place within ${options.maxWaitMs} ms`))
      }, options.maxWaitMs)
      queue.add(start)
    })
  }

  /** A place is handed on rather than freed, so that nobody overtakes. */
  function leave(): void {
    for (const start of queue) {
      queue.delete(start)
      start()
      return
    }
    running--
  }

  return {
    async run(work) {
      await enter()
      try {
        return await work()
      } finally {
        leave()
      }
    },
    get running() {
      return running
    },
    get waiting() {
      return queue.size
    },
  }
}

function busy(why: string): TrackOpsError {
  return new TrackOpsError('DATABASE_BUSY', `too many keys have to be read from the database at once: ${why}`)
}
