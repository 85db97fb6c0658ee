/** A system of its own, clients through every door, faults drawn at random, and a checker that looks at every answer. */
import { cpSync, createWriteStream } from 'node:fs'
import { join } from 'node:path'

import { parseLsn } from '../../src/change/lsn.ts'
import { pause } from '../../src/runtime/backoff.ts'
import { describeError } from '../../src/runtime/errors.ts'
import type { KafkaConnection } from '../../src/roles/kafka-clients.ts'
import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { createChecker, type Violation } from '../history/checker.ts'
import { formatRecord, type HistoryRecord, nowUs } from '../history/record.ts'
import { tellStory } from '../history/story.ts'
import { randomFrom } from '../protocol/walks.ts'
import type { TestScope } from '../support/defer.ts'
import { freePort } from '../support/free-port.ts'
import { type CliProcess, type UpSite, upSite } from '../support/process.ts'
import { statusOf } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import type { SoakContext } from './context.ts'
import { readEffects } from './effects.ts'
import { SOAK_FAULTS, type SoakFault } from './faults.ts'
import { openClients } from './open-clients.ts'
import { readHttp, readSdk, runRawReader, runReader, runSqlReader } from './readers.ts'
import { checkAtRest } from './rest.ts'
import { createSoakRows } from './rows.ts'
import type { SoakOptions } from './soak-options.ts'
import { createSoakTally } from './tally.ts'
import { runWriter, writeByHttp, writeBySql } from './writers.ts'

export interface SoakResult {
  readonly violations: readonly Violation[]
  /** What did not work at all: a system that did not recover, say. */
  readonly failure: string | null
  readonly checkedReads: number
  readonly faults: number
}

const RECOVERY_MS = 120_000
/** Between two looks at rest, at least. */
const REST_EVERY_MS = 60_000
const MARK_TIMEOUT_MS = 20_000
/** Between faults: at least, and up to so much more. Until Java is back little can be judged. */
const CALM_MS = { embedded: [1_000, 4_000], distributed: [5_000, 20_000] } as const
const MAX_STORIES = 10
const MAX_STARTS = 30
const PORT_PAUSE_MS = 2_000
/** Few enough to leave time to the system, which has the same cores. */
const PAUSES_MS = { sqlWriter: 8, httpWriter: 60, http: 6, sdk: 3, raw: 15, sql: 500, mark: 100 }

export async function runSoak(scope: TestScope, options: SoakOptions): Promise<SoakResult> {
  const { seed, mode, say } = options
  const started = await startSite(scope, mode)
  const { site, env } = started
  let { running } = started
  const kafka = mode === 'distributed' ? { brokers: [`127.0.0.1:${env['TRACKOPS_KAFKA_PORT']}`] } : undefined
  const judged = { ...site, kafka }
  const checker = createChecker()
  const tally = createSoakTally()
  const violations: Violation[] = []
  const file = options.recordFile === undefined ? undefined : createWriteStream(options.recordFile)
  const record = (one: HistoryRecord): void => {
    tally.note(one)
    file?.write(formatRecord(one))
    for (const violation of checker.add(one)) {
      if (violations.length === 0 && options.logsDirectory !== undefined)
        cpSync(join(site.dataDirectory, 'logs'), options.logsDirectory, { recursive: true })
      violations.push(violation)
      if (violations.length <= MAX_STORIES) say(`${new Date().toISOString()} ${tellStory(violation)}`)
    }
  }
  // One generator a client: what one of them does is the same whatever the others do.
  let clients = 0
  const randomOfOwn = (): (() => number) => randomFrom(seed * 1_000 + ++clients)
  const stopping = new AbortController()
  let gate: PromiseWithResolvers<void> | null = null
  const soak = await openClients(scope, site, kafka, {
    rows: createSoakRows(randomOfOwn()),
    record,
    unanswered: (what) => void tally.unanswered[what]++,
    mayWrite: async () => await gate?.promise,
    writesUnderWay: { count: 0 },
    signal: stopping.signal,
  })

  const load = [
    runWriter(soak, randomOfOwn(), writeBySql, PAUSES_MS.sqlWriter),
    runWriter(soak, randomOfOwn(), writeBySql, PAUSES_MS.sqlWriter),
    runWriter(soak, randomOfOwn(), writeByHttp, PAUSES_MS.httpWriter),
    runReader(soak, randomOfOwn(), readHttp, PAUSES_MS.http),
    runReader(soak, randomOfOwn(), readSdk, PAUSES_MS.sdk),
    runRawReader(soak, PAUSES_MS.raw),
    runSqlReader(soak, PAUSES_MS.sql),
    runMarks(soak),
    runRetiring(soak),
  ]
  const beganMs = performance.now()
  const line = (): string =>
    `${((performance.now() - beganMs) / 60_000).toFixed(1)} min: ${tally.describe(checker.checkedReads(), checker.unjudgedReads(), violations.length)}`
  const lines = setInterval(() => say(line()), options.lineEverySeconds * 1_000)
  const rest = async (): Promise<void> => {
    gate = Promise.withResolvers<void>()
    try {
      await checkAtRest(soak, judged, random)
    } finally {
      gate.resolve()
      gate = null
    }
  }
  const random = randomOfOwn()
  const faults = (options.faults ?? SOAK_FAULTS).filter(({ only }) => only === undefined || only === mode)
  let failure: string | null = null
  let restedAtMs = beganMs
  try {
    while (performance.now() - beganMs < options.seconds * 1_000) {
      const [least, more] = CALM_MS[mode]
      await pause(least + random() * more)
      const fault = faults[Math.floor(random() * faults.length)]
      if (!fault) break
      say(`    ${fault.name}`)
      tally.fault(fault.name)
      await during(fault, soak, site, () =>
        fault.run({
          site,
          soak,
          random,
          running: () => running,
          startAgain: async () => {
            running = await upAgain(site, env)
          },
        }),
      )
      if (performance.now() - restedAtMs < REST_EVERY_MS) continue
      await rest()
      restedAtMs = performance.now()
    }
    await rest()
  } catch (error) {
    failure = describeError(error)
  } finally {
    clearInterval(lines)
    stopping.abort()
    await Promise.all(load)
  }
  if (failure === null)
    await checkEffects(soak, site, kafka).catch((error: unknown) => (failure = describeError(error)))
  violations.push(...checker.finish())
  file?.end()
  if (failure === null) await running.end('SIGTERM')
  say(line())
  say(`    ${tally.describeFaults()}`)
  return { violations, failure, checkedReads: checker.checkedReads(), faults: tally.faults() }
}

/** Its window, in the record. */
async function during(fault: SoakFault, soak: SoakContext, site: UpSite, work: () => Promise<void>): Promise<void> {
  const { name, losesRedis, cutsReaders = losesRedis, isQuiet = false, restartsServices = false } = fault
  const of = { op: 'fault', name, losesRedis, cutsReaders, isQuiet, restartsServices } as const
  const mark = (phase: 'begin' | 'end'): void => {
    const us = nowUs()
    soak.record({ ...of, phase, invokedUs: us, completedUs: us })
  }
  mark('begin')
  try {
    await work()
    await waitFor(async () => isPong(await soak.redis.sendCommand(['PING'])), { what: 'Redis to answer' })
    await waitFor(async () => ({ ...(await statusOf(site)), isTrusted: soak.reader.isRedisTrusted() }), {
      what: `the system to be ready, and readers to use Redis, after: ${name}`,
      timeoutMs: RECOVERY_MS,
      intervalMs: 50,
      until: ({ isReady, cache, isTrusted }) => isReady && cache.isTrusted && isTrusted,
    })
  } finally {
    mark('end')
  }
}

/** Says again and again up to where the consumers have come; P3 is held against that. */
async function runMarks(soak: SoakContext): Promise<void> {
  while (await pause(PAUSES_MS.mark, soak.signal)) {
    try {
      const invokedUs = nowUs()
      const [row] = await soak.sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
      const target = parseLsn(row?.lsn ?? '')
      const giveUpMs = performance.now() + MARK_TIMEOUT_MS
      while (performance.now() < giveUpMs && !soak.signal.aborted) {
        const reached = await soak.reached()
        if (reached !== null && reached >= target) {
          soak.record({ op: 'processed', invokedUs, completedUs: nowUs() })
          break
        }
        await pause(10, soak.signal)
      }
    } catch {
      // A server is away: there is nothing to say about it.
    }
  }
}

async function runRetiring(soak: SoakContext): Promise<void> {
  while (await pause(1_000, soak.signal)) {
    const us = nowUs()
    for (const { id } of soak.rows.retired()) soak.record({ op: 'retired', row: id, invokedUs: us, completedUs: us })
  }
}

async function checkEffects(soak: SoakContext, site: UpSite, kafka: KafkaConnection | undefined): Promise<void> {
  const inventorySql = createPostgresPool(site.inventoryDatabaseUrl, { applicationName: 'soak', maxConnections: 1 })
  try {
    for (const effect of await readEffects({ sql: soak.sql, inventorySql }, kafka)) soak.record(effect)
  } finally {
    await inventorySql.end({ timeout: 1 })
  }
}

function isPong(reply: unknown): boolean {
  return reply === 'PONG'
}

/** Between the moment in which a port is found free and the one in which it is used, another program may take it. */
async function startSite(
  scope: TestScope,
  mode: SoakOptions['mode'],
): Promise<{ readonly site: UpSite; readonly env: Record<string, string>; readonly running: CliProcess }> {
  for (let attempt = 1; ; attempt++) {
    const site = await upSite(scope)
    const env: Record<string, string> = mode === 'distributed' ? await stackEnvironment() : {}
    const running = site.up(env)
    try {
      await running.ready()
      return { site, env, running }
    } catch (error) {
      if (attempt === 3 || !running.stderr().includes('PORT_TAKEN')) throw error
    }
  }
}

/** While it was down, a program beside it may have taken one of its ports for a while. */
async function upAgain(site: UpSite, env: Record<string, string>): Promise<CliProcess> {
  for (let attempt = 1; ; attempt++) {
    const running = site.up(env)
    try {
      await running.ready()
      return running
    } catch (error) {
      if (attempt === MAX_STARTS || !running.stderr().includes('PORT_TAKEN')) throw error
      await pause(PORT_PAUSE_MS)
    }
  }
}

async function stackEnvironment(): Promise<Record<string, string>> {
  return {
    TRACKOPS_MODE: 'distributed',
    TRACKOPS_KAFKA_PORT: String(await freePort()),
    TRACKOPS_KAFKA_CONTROLLER_PORT: String(await freePort()),
    TRACKOPS_CONNECT_PORT: String(await freePort()),
  }
}
