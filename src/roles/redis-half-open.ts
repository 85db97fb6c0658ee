import type { Logger } from '../runtime/logger.ts'

/** What this needs of a `createClient` instance of `@redis/client`. */
interface Client {
  readonly isOpen: boolean
  readonly isReady: boolean
  connect(): Promise<unknown>
  destroy: () => void
  ping(): Promise<unknown>
  on(event: string, listener: () => void): unknown
  once(event: string, listener: () => void): unknown
}

const ASK_EVERY_MS = 1_000
/** Looks, not seconds: a process that was held up itself has to have listened in between. */
const LOOKS_UNANSWERED = 5

/**
 * A connection that is half-open (its machine is gone, a firewall forgot it) takes every command and answers none, and TCP tells nobody for a
 * quarter of an hour. So Redis is asked all the time, and a connection that says nothing for seconds is given up and made anew; the
 * client itself would wait, also for the greeting of a new one. Begins when the first connection has worked.
 */
export function watchHalfOpen(client: Client, log: Logger): void {
  const destroy = client.destroy.bind(client)
  let isClosed = false
  let looking: NodeJS.Timeout | undefined
  /** Looks since Redis was asked, or should have greeted; null: it owes nothing. */
  let unanswered: number | null = null

  function ask(): void {
    unanswered = 0
    client.ping().then(answered, () => undefined)
  }

  function answered(): void {
    unanswered = null
  }

  async function renew(): Promise<void> {
    log.warn({}, 'Redis says nothing: the connection is made anew')
    unanswered = null
    destroy()
    // An attempt that was under way ends with its socket, two turns from now: not before may the next begin.
    for (const _turn of [1, 2]) await new Promise((resolve) => setImmediate(resolve))
    if (!isClosed) await client.connect()
  }

  function look(): void {
    if (unanswered !== null && ++unanswered > LOOKS_UNANSWERED) renew().catch(() => undefined)
    else if (unanswered === null && client.isReady) ask()
  }

  client.once('ready', () => {
    looking = setInterval(look, ASK_EVERY_MS)
    looking.unref()
    client.on('connect', () => (unanswered = 0))
    for (const event of ['ready', 'error', 'end', 'reconnecting']) client.on(event, answered)
  })
  // Also while the connection is made anew, when the client itself would say that it is closed already.
  client.destroy = () => {
    isClosed = true
    clearInterval(looking)
    if (client.isOpen) destroy()
  }
}
