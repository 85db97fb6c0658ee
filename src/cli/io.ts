/** What a command has of the outside; a test gives it something else. */

export interface CliIo {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly env: NodeJS.ProcessEnv
  /** Absolute; relative paths among the arguments start here. */
  readonly cwd: string
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP: drain, stop, and return. The second ends the process at once. */
  readonly signal: AbortSignal
}

/** 128 and the signal's number, as shells report it. */
const FORCED_STATUS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

export function createProcessIo(): CliIo {
  const stopping = new AbortController()
  for (const [name, status] of Object.entries(FORCED_STATUS)) {
    process.on(name, () => {
      if (stopping.signal.aborted) process.exit(status)
      stopping.abort()
    })
  }
  // A reader that leaves, as `head` does, is no reason to fall over; a command that minds watches the stream itself.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: stopping.signal,
  }
}
