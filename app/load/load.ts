import { setTimeout as pause } from 'node:timers/promises'

import { describeError } from '../../src/index.ts'
import { createHttpClient, type HttpClient } from './http-client.ts'
import { createKnownOrders } from './known-orders.ts'
import { LOAD_HELP, type LoadOptions, orderServiceUrl, parseLoadOptions } from './load-options.ts'
import { createLoadStatistics, formatSummary, type LoadSummary } from './load-statistics.ts'
import { uniform, zipf } from './popularity.ts'
import { createSession } from './session.ts'
import { createStalenessCheck } from './staleness.ts'
import { chooseOperation } from './workload.ts'

export interface LoadIo {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
}

const MAX_IN_FLIGHT = 512
const MAX_KEYS_WATCHED = 100_000
const STOP_GRACE_MS = 2_000
const TTY_INTERVAL_MS = 500
const PLAIN_INTERVAL_MS = 5_000

/** `trackops load`. Exit status: 0 all well, 1 a stale read was seen or nothing answered, 2 bad usage. */
export async function load(argv: string[], io: LoadIo): Promise<number> {
  let options: LoadOptions | 'help'
  let url: URL
  try {
    options = parseLoadOptions(argv)
    url = orderServiceUrl(io.env)
  } catch (error) {
    io.stderr.write(`${describeError(error)}\n`)
    return 2
  }
  if (options === 'help') {
    io.stdout.write(LOAD_HELP)
    return 0
  }
  const client = createHttpClient(url, { maxConnections: MAX_IN_FLIGHT })
  // Told to stop, it lets what is under way end, but not for as long as a request may take.
  let hurry: NodeJS.Timeout | undefined
  const onAbort = () => (hurry = setTimeout(() => client.close(), STOP_GRACE_MS))
  io.signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (await answers(client)) return await run(client, options, io)
    io.stderr.write(`The order service does not answer at ${url.origin}: start it with trackops up.\n`)
    return 1
  } finally {
    io.signal.removeEventListener('abort', onAbort)
    clearTimeout(hurry)
    client.close()
  }
}

async function answers(client: HttpClient): Promise<boolean> {
  try {
    await client.send({ method: 'GET', path: '/openapi.json' })
    return true
  } catch {
    return false
  }
}

async function run(client: HttpClient, options: LoadOptions, io: LoadIo): Promise<number> {
  const total = createLoadStatistics()
  let recent = createLoadStatistics()
  const popularity = options.keys === 'zipf' ? zipf : uniform
  const orders = createKnownOrders(popularity, Math.random)
  const session = createSession({
    client,
    orders,
    staleness: createStalenessCheck({ maxKeys: MAX_KEYS_WATCHED }),
    pickProduct: (size) => popularity(size, Math.random()),
    random: Math.random,
    record: (outcome) => {
      total.record(outcome)
      recent.record(outcome)
    },
    stale: () => total.stale(),
  })
  const startedAt = performance.now()
  const elapsedSeconds = () => (performance.now() - startedAt) / 1000
  let lineAt = startedAt
  const stopReporting = report(io, () => {
    const now = performance.now()
    const line = formatSummary(liveSummary(recent.summary((now - lineAt) / 1000), total.summary(elapsedSeconds())))
    recent = createLoadStatistics()
    lineAt = now
    return line
  })
  try {
    const pace = { ratePerSecond: options.ratePerSecond, seconds: options.seconds, signal: io.signal }
    await openLoop(pace, {
      begin: (dueAtMs) => session(chooseOperation(orders.size, Math.random()), dueAtMs),
      skip: () => total.skip(),
    })
  } finally {
    stopReporting()
  }
  const summary = total.summary(elapsedSeconds())
  io.stdout.write(`${summary.answered} answers in ${elapsedSeconds().toFixed(1)} s: ${formatSummary(summary)}\n`)
  return summary.stale > 0 || summary.answered === 0 ? 1 : 0
}

/** Speed as it is now; what went wrong since the beginning, so that it does not scroll away. */
function liveSummary(recent: LoadSummary, total: LoadSummary): LoadSummary {
  const { refused, errors, skipped, stale } = total
  return { ...recent, refused, errors, skipped, stale }
}

/**
 * Begins operations when they are due, not when the last one ended: a slow service meets the same demand, and its slowness shows in
 * the latencies. What is due while too many are under way is skipped and counted. Ends when all that was begun has ended.
 */
export async function openLoop(
  pace: { readonly ratePerSecond: number; readonly seconds: number; readonly signal: AbortSignal },
  work: { readonly begin: (dueAtMs: number) => Promise<void>; readonly skip: () => void },
): Promise<void> {
  const intervalMs = 1000 / pace.ratePerSecond
  const startedAt = performance.now()
  const endsAt = pace.seconds === 0 ? Infinity : startedAt + pace.seconds * 1000
  const underWay = new Set<Promise<void>>()
  let begun = 0
  for (;;) {
    const now = Math.min(performance.now(), endsAt)
    // The first is due at the beginning; nothing begins at the very end.
    const due = Math.min(Math.floor((now - startedAt) / intervalMs) + 1, Math.floor((endsAt - startedAt) / intervalMs))
    for (; begun < due; begun += 1) {
      if (underWay.size >= MAX_IN_FLIGHT) {
        work.skip()
        continue
      }
      const one = work.begin(startedAt + begun * intervalMs).finally(() => underWay.delete(one))
      underWay.add(one)
    }
    if (now >= endsAt || pace.signal.aborted) break
    const untilNextMs = startedAt + begun * intervalMs - performance.now()
    await pause(Math.max(1, untilNextMs), undefined, { signal: pace.signal }).catch(() => undefined)
  }
  await Promise.all(underWay)
}

/** One line that is rewritten on a terminal, a line now and then elsewhere. Returns what ends it. */
function report(io: LoadIo, line: () => string): () => void {
  const isTerminal = 'isTTY' in io.stdout && io.stdout.isTTY === true
  const write = isTerminal ? () => io.stdout.write(`\r\u001B[2K${line()}`) : () => io.stdout.write(`${line()}\n`)
  const timer = setInterval(write, isTerminal ? TTY_INTERVAL_MS : PLAIN_INTERVAL_MS)
  return () => {
    clearInterval(timer)
    if (isTerminal) io.stdout.write('\r\u001B[2K')
  }
}
