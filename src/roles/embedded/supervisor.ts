/** Keeps a server running: one that ends by itself is started again, with growing pauses, for as long as we run. */
import { type BackoffOptions, backoffDelayMs, pause } from '../../runtime/backoff.ts'
import { describeError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { RunningServer } from './server-process.ts'

export interface SupervisorDeps {
  /** Starts the server and resolves when it is ready; ends its attempt when the signal aborts. */
  readonly start: (signal: AbortSignal) => Promise<RunningServer>
  readonly log: Logger
}

export interface SupervisorOptions {
  /** For the log: `PostgreSQL`. */
  readonly name: string
  readonly backoff?: BackoffOptions
  /** A server that ran at least this long did not fail to start; the pauses begin anew. Default 10,000. */
  readonly settledAfterMs?: number
}

export interface SupervisedServer {
  readonly url: string
  readonly port: number
  /** Null while it is down. */
  pid(): number | null
  /** How often it was started again. */
  restarts(): number
  /** Stops it for good, gracefully, also in the middle of a start. */
  stop(): Promise<void>
}

/** Resolves when the server is ready for the first time; throws where that start fails, since somebody watches then. */
export async function createSupervisor(deps: SupervisorDeps, options: SupervisorOptions): Promise<SupervisedServer> {
  const { log } = deps
  const { name, backoff = {}, settledAfterMs = 10_000 } = options
  const stopping = new AbortController()
  const first = await deps.start(stopping.signal)
  let current: RunningServer | null = first
  let restarts = 0

  const watch = async (): Promise<void> => {
    let failures = 0
    for (;;) {
      if (current !== null) {
        const startedAt = performance.now()
        const { exitCode, signal } = await current.exited
        current = null
        if (stopping.signal.aborted) return
        failures = performance.now() - startedAt >= settledAfterMs ? 1 : failures + 1
        log.error({ server: name, exitCode, signal }, `${name} ended by itself; it is started again`)
      }
      if (!(await pause(backoffDelayMs(Math.max(1, failures), backoff), stopping.signal))) return
      try {
        current = await deps.start(stopping.signal)
        restarts += 1
        log.info({ server: name, pid: current.pid }, `${name} is back`)
      } catch (error) {
        if (stopping.signal.aborted) return
        failures += 1
        log.error({ server: name, reason: describeError(error) }, `${name} could not be started again yet`)
      }
    }
  }
  const watching = watch()

  return {
    url: first.url,
    port: first.port,
    pid: () => current?.pid ?? null,
    restarts: () => restarts,
    async stop() {
      stopping.abort()
      await current?.stop()
      await watching
      // A start that finished while we asked it to end.
      await current?.stop()
    },
  }
}
