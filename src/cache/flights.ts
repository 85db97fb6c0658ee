import type { WantedKey } from './database-read.ts'
import type { CompiledView } from './compiled-view.ts'
import type { Entry } from './entry.ts'
import type { FreshnessToken } from './token.ts'

/**
 * Single flight: in one process, one reader works for all who miss the same key, and keys that are missed together are
 * filled together.
 *
 * An answer is as old as the command that produced it. Who comes later may have seen something newer meanwhile (P2), so he takes part
 * only in what is still to be sent: `stamp` counts the commands sent, `bornAt` says which one the answer is from.
 */
export interface Flight {
  readonly wanted: WantedKey
  token: FreshnessToken | undefined
  /** What is at the key does not satisfy the token: don't wait for it, replace it. */
  isPresentTooOld: boolean
  stamp: number
  land(answer: Answer): void
  fail(error: unknown): void
}

export interface Answer {
  readonly entry: Entry
  /** The command it is from: joined before that was sent, it is valid. */
  readonly bornAt: number
  readonly source: 'hit' | 'miss' | 'bypass'
  /** Redis holds this very answer, or did a moment ago. */
  readonly isStored: boolean
}

export interface JoinOptions {
  readonly token: FreshnessToken | undefined
  readonly isPresentTooOld: boolean
}

export interface Flights {
  /** undefined: the answer was older than the question; ask again. */
  join(view: CompiledView, wanted: WantedKey, options: JoinOptions): Promise<Answer | undefined>
}

export interface FlightsOptions {
  /** Keys in one lease call and one statement; query views read one key a statement. */
  readonly batchKeys: number
}

export function createFlights(
  work: (view: CompiledView, flights: readonly Flight[]) => Promise<void>,
  options: FlightsOptions,
): Flights {
  const flying = new Map<string, { readonly flight: Flight; readonly answer: Promise<Answer> }>()
  const boarding = new Map<CompiledView, Flight[]>()

  function start(view: CompiledView, flights: readonly Flight[]): void {
    work(view, flights).catch((error: unknown) => {
      for (const flight of flights) flight.fail(error)
    })
  }

  function board(view: CompiledView, flight: Flight): void {
    const batch = boarding.get(view)
    if (!batch) {
      const first = [flight]
      boarding.set(view, first)
      setImmediate(() => {
        if (boarding.get(view) === first) boarding.delete(view)
        if (first.length > 0) start(view, first)
      })
      return
    }
    batch.push(flight)
    if (batch.length >= (view.kind === 'query' ? 1 : options.batchKeys)) {
      start(view, batch.splice(0))
    }
  }

  function take(
    view: CompiledView,
    wanted: WantedKey,
    joining: JoinOptions,
  ): { flight: Flight; answer: Promise<Answer> } {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const flight: Flight = { wanted, ...joining, stamp: 0, land: resolve, fail: reject }
    const answer = promise.finally(() => flying.delete(wanted.key))
    const taken = { flight, answer }
    flying.set(wanted.key, taken)
    board(view, flight)
    return taken
  }

  return {
    async join(view, wanted, joining) {
      const known = flying.get(wanted.key)
      const { flight, answer } = known ?? take(view, wanted, joining)
      if (known && flight.stamp === 0) {
        flight.token ??= joining.token
        flight.isPresentTooOld ||= joining.isPresentTooOld
      }
      const joinedAt = flight.stamp
      const landed = await answer
      return joinedAt < landed.bornAt ? landed : undefined
    },
  }
}
