import type { Socket } from 'node:net'

/**
 * A connection of a pool that is half-open: its machine is gone, or a firewall forgot it, and TCP tells nobody for a quarter of an hour. Who
 * waits on it waits as long, and so does the pool when all its places are such. That no answer comes means nothing by itself: statements
 * wait for locks, commits for a standby. So the server is asked, over another connection, whether it works for the one that is silent.
 */
export interface PoolConnection {
  readonly socket: Pick<Socket, 'bytesRead' | 'destroyed' | 'destroy' | 'isPaused'>
  /** The server process at the other end. */
  readonly pid: () => number | null
  readonly isWaiting: () => boolean
}

export interface HalfOpenDeps {
  readonly connections: () => Iterable<PoolConnection>
  /** Which of these server processes work on a statement. @throws if the server does not say */
  readonly workingOf: (pids: readonly number[]) => Promise<ReadonlySet<number>>
}

const LOOK_EVERY_MS = 1_000
/** Statements of milliseconds are the rule: so few ask, and a connection that is lost is found soon. */
const SILENT_MS = 5_000

/** Destroys what is half-open; the driver then fails what was waiting there, and connects anew. Gives what ends the watch. */
export function watchHalfOpen({ connections, workingOf }: HalfOpenDeps): () => void {
  const seen = new WeakMap<PoolConnection, { readonly bytesRead: number; readonly sinceMs: number }>()
  let isAsking = false

  /** Long enough for doubt: somebody waits, and not a byte has come. */
  function isSilent(connection: PoolConnection): boolean {
    const { socket } = connection
    const before = seen.get(connection)
    const isWaited = connection.isWaiting() && !socket.destroyed && !socket.isPaused()
    if (!isWaited) seen.delete(connection)
    else if (before?.bytesRead !== socket.bytesRead)
      seen.set(connection, { bytesRead: socket.bytesRead, sinceMs: performance.now() })
    else return performance.now() - before.sinceMs >= SILENT_MS
    return false
  }

  async function look(): Promise<void> {
    const silent = Array.from(connections()).filter(isSilent)
    const pids = silent.map((connection) => connection.pid()).filter((pid) => pid !== null)
    if (isAsking || pids.length === 0) return
    isAsking = true
    try {
      const working = await workingOf(pids)
      for (const connection of silent) {
        const pid = connection.pid()
        // What has come meanwhile has shown that it is alive.
        if (pid !== null && !working.has(pid) && isSilent(connection)) connection.socket.destroy()
      }
    } catch {
      // A server that says nothing says nothing about them either: asked again.
    } finally {
      isAsking = false
    }
  }

  const timer = setInterval(() => void look(), LOOK_EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}
