import { once } from 'node:events'

export interface LineWriter {
  /** Resolves when the stream takes more. After the reader has gone: at once, and nothing is written. */
  write(lines: string): Promise<void>
  /** Aborts when nothing can be written any more: the reader has gone (EPIPE), or the given signal. */
  readonly signal: AbortSignal
  /** What ended the stream, if it was not its reader's leaving. */
  failure(): Error | null
}

/** Back-pressure and a quiet end: a pipe whose reader leaves, as `head` does, is no error. */
export function createLineWriter(stream: NodeJS.WritableStream, signal: AbortSignal): LineWriter {
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  let failure: Error | null = null
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') failure = error
    ended.abort()
  })
  return {
    signal: both,
    failure: () => failure,
    async write(lines) {
      if (ended.signal.aborted) return
      if (stream.write(lines)) return
      // Whoever stops the tail does not wait for a reader that has stopped reading.
      await once(stream, 'drain', { signal: both }).catch(() => undefined)
    },
  }
}
