import type { Socket } from 'node:net'

import { type Lsn, LSN_ZERO, toLsn } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { standbyStatusMessage } from './frontend-messages.ts'
import type { ServerReport } from './postgres-error.ts'

export type ReplicationMessage =
  /** XLogData. `data` is a view of the bytes that came; decode it, don't keep it. */
  | { readonly kind: 'data'; readonly dataStart: Lsn; readonly data: Buffer }
  /** The server has decoded and sent everything that commits before `walEnd`. */
  | { readonly kind: 'keep-alive'; readonly walEnd: Lsn }
  /** A warning among the data. */
  | { readonly kind: 'notice'; readonly report: ServerReport }

export interface InboxLimits {
  /** Above these the socket is paused. One chunk (64 KiB) more may be held, and as much again is with the consumer. */
  readonly maxMessages: number
  readonly maxBytes: number
}

/**
 * The messages of a replication stream. Taking them is back-pressure: when too many wait, the socket is paused and the rest
 * stays in the server. A status update may be sent at any time: writing does not wait for reading.
 */
export interface ReplicationStream {
  /** All that has arrived, in order; waits for the first. With a time, gives an empty list when it has passed. */
  take(timeoutMs?: number): Promise<readonly ReplicationMessage[]>
  sendStatus(ackedLsn: Lsn, wantsReply: boolean): void
  /** Called in the moment when the server asks for a status, however much waits to be taken. */
  onReplyRequested(listener: () => void): void
  facts(): StreamFacts
}

export interface StreamFacts {
  /** The server's WAL end as of its last message that was read. */
  readonly serverLsn: Lsn
  readonly isPaused: boolean
  /** `performance.now()` of the last bytes, or of the moment when reading went on. */
  readonly lastInboundMs: number
}

export interface ReplicationInbox {
  readonly stream: ReplicationStream
  setLimits(limits: InboxLimits): void
  noteInbound(): void
  /** Takes the body of a CopyData message. */
  push(bytes: Buffer, start: number, end: number): void
  pushNotice(report: ServerReport): void
  /** What has arrived can still be taken; then this is thrown. */
  fail(error: Error): void
}

const XLOG_DATA = 0x77 // w
const KEEP_ALIVE = 0x6b // k
const XLOG_DATA_HEADER_BYTES = 25
const KEEP_ALIVE_BYTES = 18

export function createReplicationInbox(socket: Socket): ReplicationInbox {
  let limits: InboxLimits = { maxMessages: 1, maxBytes: 1 }
  let messages: ReplicationMessage[] = []
  let bytesHeld = 0
  let serverLsn = LSN_ZERO
  let isPaused = false
  let lastInboundMs = performance.now()
  let failure: Error | null = null
  let wake: (() => void) | null = null
  let replyRequested: () => void = () => undefined

  function hold(message: ReplicationMessage, bytes: number): void {
    messages.push(message)
    bytesHeld += bytes
    if (!isPaused && (messages.length >= limits.maxMessages || bytesHeld >= limits.maxBytes)) {
      isPaused = true
      socket.pause()
    }
    wake?.()
  }

  function waitForMessage(timeoutMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => wake?.(), timeoutMs)
      wake = () => {
        clearTimeout(timer)
        wake = null
        resolve()
      }
    })
  }

  const stream: ReplicationStream = {
    async take(timeoutMs) {
      if (messages.length === 0 && !failure) await waitForMessage(timeoutMs)
      if (messages.length === 0 && failure) throw failure
      const taken = messages
      messages = []
      bytesHeld = 0
      if (isPaused) {
        isPaused = false
        lastInboundMs = performance.now()
        socket.resume()
      }
      return taken
    },
    sendStatus(ackedLsn, wantsReply) {
      if (!failure) socket.write(standbyStatusMessage(ackedLsn, Date.now(), wantsReply))
    },
    onReplyRequested(listener) {
      replyRequested = listener
    },
    facts: () => ({ serverLsn, isPaused, lastInboundMs }),
  }

  return {
    stream,
    setLimits(given) {
      limits = given
    },
    noteInbound() {
      lastInboundMs = performance.now()
    },
    push(bytes, start, end) {
      const kind = bytes[start]
      if (kind === XLOG_DATA && end - start >= XLOG_DATA_HEADER_BYTES) {
        serverLsn = toLsn(bytes.readBigUInt64BE(start + 9))
        const dataStart = toLsn(bytes.readBigUInt64BE(start + 1))
        hold({ kind: 'data', dataStart, data: bytes.subarray(start + XLOG_DATA_HEADER_BYTES, end) }, end - start)
      } else if (kind === KEEP_ALIVE && end - start >= KEEP_ALIVE_BYTES) {
        serverLsn = toLsn(bytes.readBigUInt64BE(start + 1))
        hold({ kind: 'keep-alive', walEnd: serverLsn }, KEEP_ALIVE_BYTES)
        if (bytes[start + 17] === 1) replyRequested()
      } else {
        throw new TrackOpsError('POSTGRES_PROTOCOL', 'an unknown message in the replication stream', {
          details: { kind: kind ?? -1, length: end - start },
        })
      }
    },
    pushNotice(report) {
      hold({ kind: 'notice', report }, report.message.length)
    },
    fail(error) {
      failure ??= error
      wake?.()
    },
  }
}
