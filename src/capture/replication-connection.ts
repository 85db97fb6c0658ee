import type { Socket } from 'node:net'

import { TrackOpsError } from '../runtime/errors.ts'
import { TEXT_FORM_SETTINGS } from '../runtime/postgres.ts'
import { createAuthenticator } from './authenticate.ts'
import { connectSocket } from '../runtime/connect-socket.ts'
import { parseDatabaseUrl } from '../runtime/connection-target.ts'
import { queryMessage, startupMessage, terminateMessage } from './frontend-messages.ts'
import { createMessageFramer } from './message-framer.ts'
import { errorFromReport, parseServerReport, toCaptureError } from './postgres-error.ts'
import { createReplicationInbox, type InboxLimits, type ReplicationStream } from './replication-stream.ts'

/**
 * Our own connection to PostgreSQL, for what drivers do not do: the replication protocol with back-pressure that never
 * silences the keep-alives, and query results in exactly the text that pgoutput sends (simple protocol, no parsing).
 */
export interface ReplicationConnection {
  /** `180004` */
  readonly serverVersion: number
  /** Of the server's process, as `pg_cancel_backend` takes it. */
  readonly processId: number
  /** Simple query protocol; all rows are held in memory. One at a time. @throws TrackOpsError */
  query(sql: string): Promise<readonly ResultRow[]>
  /** Sends a START_REPLICATION; from then on the connection is this stream's. @throws TrackOpsError */
  startStream(sql: string, limits: InboxLimits): Promise<ReplicationStream>
  /** Ends the connection at once; whoever waits on it gets the error. */
  close(reason?: TrackOpsError): void
}

/** Texts in the order of the select list, null for NULL. */
export type ResultRow = readonly (string | null)[]

export interface ConnectOptions {
  readonly databaseUrl: string
  readonly applicationName: string
  /** False for an ordinary session that is read with the same code. */
  readonly isReplication: boolean
  /** Default 10,000. */
  readonly connectTimeoutMs?: number
}

interface Reply {
  readonly rows: ResultRow[]
  error: Error | null
  readonly resolve: (rows: readonly ResultRow[]) => void
  readonly reject: (error: Error) => void
}

/** @throws TrackOpsError POSTGRES_UNREACHABLE, POSTGRES_REFUSED, CONFIG_INVALID (the URL) */
export async function connectReplication(options: ConnectOptions): Promise<ReplicationConnection> {
  const target = parseDatabaseUrl(options.databaseUrl)
  const timeoutMs = options.connectTimeoutMs ?? 10_000
  const socket = await connectSocket(target, timeoutMs).catch((error: unknown) => {
    throw toCaptureError(error, `connecting to PostgreSQL at ${target.host}:${target.port}`)
  })
  const authenticator = createAuthenticator(target)
  const inbox = createReplicationInbox(socket)
  let serverVersion = 0
  let processId = 0
  let reply: Reply | null = null
  let failure: Error | null = null
  let isReady = false
  let isStreamAsked = false
  let isStreaming = false

  function end(error: Error): void {
    failure = error
    reply?.reject(reply.error ?? error)
    reply = null
    inbox.fail(error)
  }

  function fail(error: Error): void {
    if (failure) return
    socket.destroy()
    end(error)
  }

  function onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case MESSAGE.copyData:
        // nobody would take it, and the socket that is paused for it would say nothing more, not even that it was closed
        if (!isStreaming) throw broken('data of a stream that does not run')
        inbox.push(bytes, start, end)
        return
      case MESSAGE.dataRow:
        reply?.rows.push(parseDataRow(bytes, start, end))
        return
      case MESSAGE.readyForQuery:
        isReady = true
        finishReply()
        return
      case MESSAGE.copyBothResponse:
        if (!isStreamAsked) throw broken('a stream that nobody asked for')
        isStreaming = true
        finishReply()
        return
      case MESSAGE.error: {
        const error = errorFromReport(parseServerReport(bytes, start, end))
        // before the first ReadyForQuery, and in the stream, an error ends the connection; in a query, ReadyForQuery follows
        if (reply && !isStreaming && isReady) reply.error = error
        else fail(error)
        return
      }
      case MESSAGE.notice:
        if (isStreaming) inbox.pushNotice(parseServerReport(bytes, start, end))
        return
      case MESSAGE.authentication: {
        const answer = authenticator.answer(Buffer.from(bytes.subarray(start, end)))
        if (answer) socket.write(answer)
        return
      }
      case MESSAGE.parameterStatus: {
        const [name, value] = bytes.toString('utf8', start, end).split('\0')
        if (name === 'server_version') serverVersion = versionNumber(value ?? '')
        return
      }
      case MESSAGE.backendKeyData:
        processId = bytes.readUInt32BE(start)
        return
      case MESSAGE.copyDone:
        fail(new TrackOpsError('POSTGRES_UNREACHABLE', 'PostgreSQL ended the replication stream'))
        return
      default: // CommandComplete, RowDescription, EmptyQueryResponse: nothing that we need
    }
  }

  function finishReply(): void {
    const done = reply
    reply = null
    if (done?.error) done.reject(done.error)
    else done?.resolve(done.rows)
  }

  function exchange(message: Buffer): Promise<readonly ResultRow[]> {
    return new Promise((resolve, reject) => {
      if (failure) reject(failure)
      else if (reply || isStreaming) reject(new TrackOpsError('POSTGRES_PROTOCOL', 'the connection is busy'))
      else {
        reply = { rows: [], error: null, resolve, reject }
        socket.write(message)
      }
    })
  }

  const framer = createMessageFramer(onMessage)
  socket.on('data', (chunk: Buffer) => {
    inbox.noteInbound()
    try {
      framer.push(chunk)
    } catch (error) {
      // From reading beyond the end of a message's bytes.
      fail(
        error instanceof RangeError ? broken('a message cut short') : toCaptureError(error, 'reading from PostgreSQL'),
      )
    }
  })
  socket.on('error', (error) => fail(toCaptureError(error, 'the connection to PostgreSQL broke')))
  socket.on('close', () => fail(new TrackOpsError('POSTGRES_UNREACHABLE', 'PostgreSQL closed the connection')))
  socket.resume()

  const timer = setTimeout(
    () => fail(new TrackOpsError('POSTGRES_UNREACHABLE', `PostgreSQL let nobody in within ${timeoutMs} ms`)),
    timeoutMs,
  )
  try {
    await exchange(startupMessage(startupParameters(target.user, target.database, options)))
  } finally {
    clearTimeout(timer)
  }

  return {
    serverVersion,
    processId,
    query: (sql) => exchange(queryMessage(sql)),
    async startStream(sql, limits) {
      inbox.setLimits(limits)
      isStreamAsked = true
      await exchange(queryMessage(sql))
      if (!isStreaming) throw broken('no stream')
      return inbox.stream
    },
    close(reason) {
      if (failure) return
      end(reason ?? new TrackOpsError('POSTGRES_UNREACHABLE', 'the connection was closed here'))
      terminate(socket)
    },
  }
}

/** Type bytes of backend messages. */
const MESSAGE = {
  authentication: 0x52, // R
  backendKeyData: 0x4b, // K
  copyBothResponse: 0x57, // W
  copyData: 0x64, // d
  copyDone: 0x63, // c
  dataRow: 0x44, // D
  error: 0x45, // E
  notice: 0x4e, // N
  parameterStatus: 0x53, // S
  readyForQuery: 0x5a, // Z
} as const

function startupParameters(user: string, database: string, options: ConnectOptions): Record<string, string> {
  return {
    user,
    database,
    application_name: options.applicationName,
    client_encoding: 'UTF8',
    // a warning in the stream may mean that changes are left out (see refusePublicationGap)
    client_min_messages: 'warning',
    ...(options.isReplication ? { replication: 'database' } : {}),
    ...TEXT_FORM_SETTINGS,
  }
}

function parseDataRow(bytes: Buffer, start: number, end: number): ResultRow {
  const count = bytes.readUInt16BE(start)
  const row: (string | null)[] = []
  let at = start + 2
  for (let i = 0; i < count; i++) {
    const length = bytes.readInt32BE(at)
    at += 4
    if (length < 0) row.push(null)
    else {
      if (at + length > end) throw broken('a row cut short')
      row.push(bytes.toString('utf8', at, at + length))
      at += length
    }
  }
  return row
}

function broken(what: string): TrackOpsError {
  return new TrackOpsError('POSTGRES_PROTOCOL', `PostgreSQL sent ${what}: is it PostgreSQL?`)
}

/** `18.4 (Debian ...)` to 180004; `19beta1` to 190000. */
function versionNumber(text: string): number {
  const match = /^(\d+)(?:\.(\d+))?/.exec(text)
  return Number(match?.[1] ?? 0) * 10_000 + Number(match?.[2] ?? 0)
}

const TERMINATE_MS = 500

/** What was written before (the last status) still goes out, and the server logs no broken connection; but not for ever. */
function terminate(socket: Socket): void {
  socket.removeAllListeners('data')
  socket.resume()
  socket.end(terminateMessage())
  setTimeout(() => socket.destroy(), TERMINATE_MS).unref()
}
