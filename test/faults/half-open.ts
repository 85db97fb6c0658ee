/** Connections that stay open while nothing passes any more: a firewall that forgot them, a machine that is gone, a network that is away. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import { pause } from '../../src/runtime/backoff.ts'
import { ownPostgres } from '../support/postgres.ts'
import { testRedis } from '../support/redis.ts'
import { type TcpProxy, tcpProxy, through } from '../support/tcp-proxy.ts'
import { type TestSystem, testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { assertEachEventOnce, change } from './orders-and-events.ts'
import { readAndWrite } from './readers-and-writers.ts'

/** What a service promises: 5 s until the database has it, 12 s until it is done; and a margin for a busy machine. */
const BOUND_MS = 25_000

export interface Stage {
  readonly system: TestSystem
  readonly postgres: TcpProxy
  readonly redis: TcpProxy
}

export async function setStage(t: TestContext): Promise<Stage> {
  // It does not hear that we have gone, and keeps the slot until it has lost patience.
  const source = await ownPostgres(t, { settings: { wal_sender_timeout: '2s' } })
  const server = await testRedis(t)
  const [postgres, redis] = [await tcpProxy(t, source.port), await tcpProxy(t, server.port)]
  const system = await testSystem(t, {
    source: { url: through(source.url, postgres), sql: source.sql },
    redis: { ...server, url: through(server.url, redis) },
  })
  return { system, postgres, redis }
}

interface Silence {
  readonly proxy: TcpProxy
  readonly begin: () => void
  /** Resolves when it has lasted long enough. */
  readonly lasts?: () => Promise<unknown>
}

export async function checkSilence(system: TestSystem, { proxy, begin, lasts }: Silence): Promise<void> {
  const { sql } = system
  const watch = await readAndWrite(system, { writerPauseMs: 10 })
  const stop = new AbortController()
  const cold = readCold(system, stop.signal)
  try {
    await waitFor(() => watch.reads() > 100 && watch.writes() > 100, { what: 'reads and writes' })
    await change(sql)
    begin()
    await change(sql)
    // Who writes past the services goes on, and readers have answers of some kind or other.
    const [writes, answers] = [watch.writes(), cold.answers()]
    await waitFor(() => watch.writes() > writes + 50 && cold.answers() > answers, { what: 'writes, and answers' })
    await lasts?.()
    await change(sql)
  } finally {
    proxy.pass()
    stop.abort()
    await cold.stopped
    await watch.stop()
  }
  await waitFor(async () => (await statusOf(system)).isReady, { what: 'the system to be ready' })
  await change(sql)
  await assertEachEventOnce(system)
  await caughtUp(system)
  await assertNothingStale(system)
  const response = await fetch(`${system.orderUrl}/api/orders/${crypto.randomUUID()}`)
  assert.equal(response.status, 404, 'the database is asked again')
  assert.deepEqual(watch.wentBack.slice(0, 5), [])
  assert.deepEqual(cold.tooSlow, [])
}

/** Orders that nobody has asked for yet. */
function readCold(
  { orderUrl }: Pick<TestSystem, 'orderUrl'>,
  signal: AbortSignal,
): { readonly answers: () => number; readonly tooSlow: readonly string[]; readonly stopped: Promise<void> } {
  const tooSlow: string[] = []
  let answers = 0
  const read = async (): Promise<void> => {
    while (!signal.aborted) {
      const id = crypto.randomUUID()
      const response = await fetch(`${orderUrl}/api/orders/${id}`, { signal: AbortSignal.timeout(BOUND_MS) }).catch(
        (error: unknown) => void tooSlow.push(String(error)),
      )
      await response?.text()
      answers++
      await pause(10, signal)
    }
  }
  const stopped = Promise.all([read(), read()]).then(() => undefined)
  return { answers: () => answers, tooSlow, stopped }
}
