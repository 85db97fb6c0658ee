/** Load that watches what it is answered: nobody is taken back, and every read is answered. */
import { pause } from '../../src/runtime/backoff.ts'
import type { TestSystem } from '../support/system.ts'

export interface Watch {
  /** Reads that were answered with 200. */
  readonly reads: () => number
  readonly writes: () => number
  /** Answers older than what the same reader had before, since the last `allowFallback`. */
  readonly wentBack: readonly string[]
  /** Reads that were answered with anything but 200. */
  readonly failed: readonly string[]
  stop(): Promise<void>
}

export interface LoadOptions {
  /** Of each of the two writers between its writes. Default: none. */
  readonly writerPauseMs?: number
}

const ORDERS = 20

/** Writers go on counting an order's version up by SQL; readers compare versions and times of what they are answered. */
export async function readAndWrite(
  system: Pick<TestSystem, 'sql' | 'orderUrl'>,
  options: LoadOptions = {},
): Promise<Watch> {
  const { sql, orderUrl } = system
  const customer = crypto.randomUUID()
  const ids = Array.from({ length: ORDERS }, () => crypto.randomUUID())
  await sql`insert into orders ${sql(ids.map((id) => ({ id, customer_id: customer })))}`
  const stopping = new AbortController()
  const { signal } = stopping
  const wentBack: string[] = []
  const failed: string[] = []
  let reads = 0
  let writes = 0

  const writer = async (offset: number): Promise<void> => {
    for (let n = offset; !signal.aborted; n++) {
      // Readers may have to wait for a Redis that is silent; a backlog of a million changes is another test's.
      while (writes > (reads + 50) * 10 && !signal.aborted) await pause(5, signal)
      await sql`update orders set status = ${`S${n}`} where id = ${ids[n % ORDERS] ?? ''}`
      if (options.writerPauseMs !== undefined) await pause(options.writerPauseMs, signal)
      writes++
    }
  }
  const reader = async (): Promise<void> => {
    const seen = new Map<string, string>()
    const see = (key: string, at: string): void => {
      const before = seen.get(key)
      if (before !== undefined && at < before) wentBack.push(`${key}: ${before} then ${at}`)
      else seen.set(key, at)
    }
    for (let n = Math.floor(Math.random() * ORDERS); !signal.aborted; n++) {
      const id = ids[n % ORDERS] ?? ''
      const path = n % 3 === 0 ? `orders/${id}` : n % 3 === 1 ? `orders/${id}/status` : `customers/${customer}/orders`
      const response = await fetch(`${orderUrl}/api/${path}`).catch((error: unknown) => String(error))
      if (typeof response === 'string' || response.status !== 200) {
        failed.push(
          `${path}: ${typeof response === 'string' ? response : `${response.status} ${await response.text()}`}`,
        )
        continue
      }
      reads++
      const body = (await response.json()) as { updatedAt: string; orders?: { id: string; updatedAt: string }[] }
      // Entity, status and list are keys of their own: one may be ahead of another.
      if (n % 3 !== 2) see(`${n % 3}:${id}`, body.updatedAt)
      for (const order of body.orders ?? []) see(`list:${order.id}`, order.updatedAt)
    }
  }
  const working = Promise.all([writer(0), writer(7), reader(), reader(), reader(), reader()])
  return {
    reads: () => reads,
    writes: () => writes,
    wentBack,
    failed,
    async stop() {
      stopping.abort()
      await working
    },
  }
}
