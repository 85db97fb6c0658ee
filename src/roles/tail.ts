import { randomUUID } from 'node:crypto'

import type { Sql } from 'postgres'

import type { Capture } from '../capture/capture.ts'
import { openCapture } from '../capture/open-capture.ts'
import { dropPublication } from '../capture/publication.ts'
import type { StreamItem } from '../change/change-event.ts'
import { createDebeziumEncoder, type DebeziumRecord } from '../change/debezium/encode.ts'
import { jsonString } from '../change/debezium/json-text.ts'
import { matchesAny } from '../change/debezium/name-filter.ts'
import { parseDebeziumOptions, type DebeziumOptions } from '../change/debezium/options.ts'
import { pause } from '../runtime/backoff.ts'
import type { Logger } from '../runtime/logger.ts'
import { connectPostgres } from './connections.ts'
import { claimTailName, dropLeftTailPublications } from './tail-leftovers.ts'
import { createTailPublication } from './tail-publication.ts'
import { selectSnapshot } from './tail-snapshot.ts'
import { chooseTables, nameOf, readTables } from './tail-tables.ts'

export interface TailDeps {
  /** One or more whole lines. Resolves when more may come: that is the only limit on what waits. */
  readonly write: (lines: string) => Promise<void>
  /** One line for the person who watches. */
  readonly say: (line: string) => void
  /** Ends the tail; what it made in the database is dropped, and the promise resolves. */
  readonly signal: AbortSignal
}

export interface RecordDeps extends Omit<TailDeps, 'write'> {
  /** The records of one item, to be taken one after the other. As with `write`. */
  readonly take: (records: Iterable<DebeziumRecord>) => Promise<void>
}

export interface TailOptions {
  readonly databaseUrl: string
  /** `NAME=VALUE` of Debezium's properties. `topic.prefix` is the database's name by default. */
  readonly properties: readonly string[]
}

/** Lines are handed over by this many characters, or at the end of an item. */
const CHUNK_CHARACTERS = 64 * 1024
const SLOT_GONE_TIMEOUT_MS = 5000

/**
 * Prints a database's changes as Debezium would put them on its topics, until the signal. Its slot is temporary and its
 * publication its own; both are dropped at the end, also after an error.
 *
 * @throws TrackOpsError USAGE, CONFIG_INVALID, WAL_LEVEL, POSTGRES_UNREACHABLE, POSTGRES_REFUSED, SLOT_LOST, DECODE
 */
export async function runTail({ write, say, signal }: TailDeps, given: TailOptions): Promise<void> {
  await followRecords({ take: (records) => writeAll(records, write, signal), say, signal }, given)
}

/** The records themselves, headers included. @throws as `runTail` */
export async function followRecords(deps: RecordDeps, given: TailOptions): Promise<void> {
  // A bad property is reported before any connection is made.
  parseDebeziumOptions(given.properties, { topicPrefix: 'unknown' })
  const sql = await connectPostgres(given.databaseUrl, { applicationName: 'trackops tail', maxConnections: 4 })
  let name = ''
  let capture: Capture | null = null
  let hasPublication = false
  try {
    const connection = await sql.reserve()
    for (const left of await dropLeftTailPublications(sql, connection)) {
      deps.say(`publication ${left}, left behind by a tail that was killed, is dropped`)
    }
    name = await claimTailName(connection)
    const [{ database } = { database: '' }] = await sql<{ database: string }[]>`select current_database() as database`
    const options = parseDebeziumOptions(given.properties, { topicPrefix: database })
    const { tables, weak } = chooseTables(await readTables(sql), options)
    for (const table of weak) {
      deps.say(
        `${nameOf(table)} is left out: it has no usable replica identity, and once published its UPDATEs and DELETEs would ` +
          'fail. To follow it all the same, name it in table.include.list',
      )
    }
    // Capture's names divide at the first dot: it cannot read these tables, but it can follow them.
    const readable = tables.filter(({ schema }) => !schema.includes('.'))
    if (options.snapshotMode === 'initial') {
      for (const table of tables.filter((one) => !readable.includes(one))) {
        deps.say(`${nameOf(table)} is followed, but its rows so far are not read: its schema's name has a dot`)
      }
    }
    if (deps.signal.aborted) return
    hasPublication = true
    await createTailPublication(sql, name, tables, options)
    capture = await openCapture(
      { sql, log: logTo(deps.say) },
      {
        databaseUrl: given.databaseUrl,
        slot: name,
        publication: name,
        tables: readable.map(nameOf),
        snapshot: options.snapshotMode,
        temporary: true,
        // Those that are weak and still here were named.
        acceptsWeakIdentity: true,
        acceptsFewerOperations: true,
        includesGenerated: true,
        signal: deps.signal,
      },
    )
    await follow(deps, { capture, database, tables: readable.map(nameOf), options })
  } catch (error) {
    if (!deps.signal.aborted) throw error
  } finally {
    await cleanUp(sql, name, capture, hasPublication).catch((error: unknown) => {
      deps.say(
        `cannot drop publication ${name}, drop it by hand: ${error instanceof Error ? error.message : 'unknown'}`,
      )
    })
    await sql.end({ timeout: 1 })
  }
}

interface Following {
  readonly capture: Capture
  readonly database: string
  readonly tables: readonly string[]
  readonly options: DebeziumOptions
}

async function follow(deps: RecordDeps, { capture, database, tables, options }: Following): Promise<void> {
  const encoder = createDebeziumEncoder({ database, now: wallClockNs, runId: randomUUID() }, options)
  let heartbeat: NodeJS.Timeout | undefined
  let isStreaming = false
  // Even an idle database then gives a first item, which tells that the stream has begun.
  capture.requestProgress()
  const items = capture.stream(deps.signal)
  const chosen = options.snapshotInclude
  const selected = chosen ? selectSnapshot(items, tables, (table) => matchesAny(chosen, table)) : items
  try {
    for await (const item of selected) {
      if (item.kind !== 'snapshot' && !isStreaming) {
        isStreaming = true
        deps.say('streaming')
        if (options.heartbeatIntervalMs > 0) {
          heartbeat = setInterval(() => {
            // A failed write ends the tail through its signal.
            deps.take([encoder.heartbeat()]).catch(() => undefined)
          }, options.heartbeatIntervalMs)
        }
      }
      await deps.take(encoder.encode(item))
      const lsn = appliedLsn(item)
      if (lsn !== null) capture.ack(lsn)
    }
  } finally {
    clearInterval(heartbeat)
  }
}

async function writeAll(
  records: Iterable<DebeziumRecord>,
  write: TailDeps['write'],
  signal: AbortSignal,
): Promise<void> {
  let chunk = ''
  for (const record of records) {
    chunk += lineOf(record)
    if (chunk.length < CHUNK_CHARACTERS) continue
    await write(chunk)
    if (signal.aborted) return
    chunk = ''
  }
  if (chunk !== '') await write(chunk)
}

/** Key and value are JSON already, and go in as they are. */
function lineOf({ topic, key, value }: DebeziumRecord): string {
  return `{"topic":${jsonString(topic)},"key":${key ?? 'null'},"value":${value ?? 'null'}}\n`
}

function appliedLsn(item: StreamItem): Parameters<Capture['ack']>[0] | null {
  if (item.kind === 'progress') return item.lsn
  return item.kind === 'transaction' ? item.endLsn : null
}

/** Nanoseconds since 1970, to the microsecond that the clock gives. */
function wallClockNs(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n
}

/** A temporary slot ends when the server notices that its connection has gone: whoever looks afterwards finds nothing. */
async function cleanUp(sql: Sql, name: string, capture: Capture | null, hasPublication: boolean): Promise<void> {
  await capture?.close()
  if (hasPublication) await dropPublication(sql, name)
  if (!capture) return
  const giveUpAtMs = performance.now() + SLOT_GONE_TIMEOUT_MS
  for (;;) {
    const [slot] = await sql`select from pg_replication_slots where slot_name = ${name}`
    if (!slot || performance.now() > giveUpAtMs) return
    await pause(20)
  }
}

function logTo(say: (line: string) => void): Logger {
  const log: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: (_fields, message) => say(message),
    error: (_fields, message) => say(message),
    child: () => log,
  }
  return log
}
