/** Steps 1 to 3 of a reader (PROTOCOL.md, "A reader"), for many keys of a view at once. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

import { type Lsn, LSN_ZERO, lsnToFixedHex, maxLsn } from '../change/lsn.ts'
import { retryOf, TrackOpsError } from '../runtime/errors.ts'
import { KINDS, versioned } from './apply-encoding.ts'
import { type CompiledView, ttlOf } from './compiled-view.ts'
import type { DatabaseRead, DatabaseReads, Found, WantedKey } from './database-read.ts'
import { type Entry, readAbsence, readDocument, readMembers } from './entry.ts'
import type { Flight } from './flights.ts'
import type { Limiter } from './limiter.ts'
import type { GlobalKeys } from './global-keys.ts'
import type { Scripts } from './scripts.ts'
import type { Document } from './view.ts'

export interface Fill {
  /** Lease, read, settle. Who loses the lease waits briefly for the one who has it, then goes on without. */
  readonly fill: (view: CompiledView, flights: readonly Flight[]) => Promise<void>
  /** Read, then settle without a lease and without trust in what Redis holds. */
  readonly bypass: (view: CompiledView, flights: readonly Flight[]) => Promise<void>
  /** For nobody in particular. Keys that somebody else fills at the moment are left to him. */
  refresh(view: CompiledView, keys: readonly WantedKey[]): Promise<RefreshCounts>
  /** Raises the marks for answers that could not be settled when they were given, and deletes what is at their keys. */
  readonly settleLate: (
    view: CompiledView,
    answered: readonly { readonly key: string; readonly insertLsn: Lsn }[],
  ) => Promise<void>
}

export interface RefreshCounts {
  readonly stored: number
  /** There already, or filled by somebody else at the moment. */
  readonly left: number
  /** Changed meanwhile, or the view's function threw. */
  readonly notStored: number
}

export interface FillDeps {
  readonly scripts: Scripts
  readonly reads: DatabaseReads
  readonly limiter: Limiter
  /** False while Redis cannot be asked: then nobody waits for it. */
  readonly isReachable: () => boolean
  /** The answer was given although Redis could not be told. */
  readonly onUnsettled: (view: CompiledView, key: string, insertLsn: Lsn, error: unknown) => void
  readonly observe: (view: CompiledView, what: 'stored' | 'not-stored' | 'lease-lost' | 'failed', keys: number) => void
  readonly random: () => number
}

export interface FillOptions {
  readonly keys: GlobalKeys
  readonly leaseTtlMs: number
  readonly markTtlMs: number
  readonly absenceTtlMs: number
}

interface Lease {
  readonly token: string
  readonly generation: string
}

const NO_LEASE: Lease = { token: '', generation: '' }
/** A fill takes a few milliseconds; who waits longer than these together reads for himself. */
const WAITS_FOR_OTHERS_MS = [5, 10, 20, 40]
/** No transaction is visible in it: it is never stored, only the script wants one. */
const EMPTY_SNAPSHOT = '3:3:'

export function createFill(deps: FillDeps, options: FillOptions): Fill {
  const { scripts, reads, limiter } = deps
  const { keys } = options

  /** Lands the flights whose key is there; gives the others, with and without a lease. */
  async function takeLeases(
    view: CompiledView,
    flights: readonly Flight[],
  ): Promise<{ lease: Lease; held: Flight[]; lost: Flight[] }> {
    const token = randomBytes(9).toString('base64url')
    for (const flight of flights) flight.stamp++
    const reply = await scripts.run(
      'lease',
      [keys.generation, keys.viewFence(view.name), ...flights.map(({ wanted }) => wanted.key)],
      [
        KINDS[view.kind],
        view.code,
        token,
        String(options.leaseTtlMs),
        ...flights.map((flight) => (flight.isPresentTooOld ? '1' : '0')),
      ],
    )
    if (!Array.isArray(reply) || typeof reply[0] !== 'string') throw unexpected('lease')
    const held: Flight[] = []
    const lost: Flight[] = []
    for (const [index, flight] of flights.entries()) {
      const [what, ...rest] = asArray(reply[index + 1])
      const entry = what === 'v' ? entryOf(view, rest) : what === 'a' ? readAbsence(view, rest[0]) : undefined
      if (entry) flight.land({ entry, bornAt: flight.stamp, source: 'hit', isStored: true })
      else if (what === 'l') held.push(flight)
      else {
        // A version of ours before something that does not parse: a stranger's work. Replace it.
        if (what === 'v') flight.isPresentTooOld = true
        lost.push(flight)
      }
    }
    return { lease: { token, generation: reply[0] }, held, lost }
  }

  /** Fails its own flights only: the others of the batch may be with somebody else. */
  async function readAndSettle(
    view: CompiledView,
    flights: readonly Flight[],
    lease: Lease,
    isTrusted: boolean,
  ): Promise<void> {
    if (flights.length === 0) return
    try {
      const results = await limiter.run(async () => {
        for (const flight of flights) flight.stamp++
        return await reads.read(
          view,
          flights.map(({ wanted }) => wanted),
        )
      })
      const byKey = new Map(flights.map((flight) => [flight.wanted.key, { flight, readAt: flight.stamp }]))
      await Promise.all(
        results.map(async (read) => {
          const some = Array.from(read.found.keys(), (key) => byKey.get(key)).filter((one) => one !== undefined)
          await settle(view, some, read, lease, isTrusted)
        }),
      )
    } catch (error) {
      for (const flight of flights) flight.fail(error)
    }
  }

  async function settle(
    view: CompiledView,
    some: readonly { readonly flight: Flight; readonly readAt: number }[],
    read: DatabaseRead,
    lease: Lease,
    isTrusted: boolean,
  ): Promise<void> {
    const { snapshot, insertLsn, found } = read
    const foundAt = (flight: Flight): Found => found.get(flight.wanted.key) ?? { kind: 'absent' }
    const landRead = (
      flight: Flight,
      bornAt: number,
      how: { readonly isBypass: boolean; readonly isStored: boolean },
    ): void => {
      const what = foundAt(flight)
      if (what.kind === 'failed') flight.fail(what.error)
      else
        flight.land({
          entry: entryRead(view, what, snapshot),
          bornAt,
          source: how.isBypass || flight.isPresentTooOld ? 'bypass' : 'miss',
          isStored: how.isStored,
        })
    }
    const giveUp = (error: unknown): void => {
      for (const { flight, readAt } of some) {
        deps.onUnsettled(view, flight.wanted.key, insertLsn, error)
        landRead(flight, readAt, { isBypass: true, isStored: false })
      }
    }
    if (!deps.isReachable()) {
      giveUp(undefined)
      return
    }
    const args = settleHeader(view, lease, snapshot, insertLsn)
    for (const { flight } of some) {
      flight.stamp++
      if (!isTrusted) args.push('e', 'x')
      else {
        if (flight.token) args.push('t', String(flight.token.xid), lsnToFixedHex(flight.token.lsn))
        else args.push(flight.isPresentTooOld ? 'e' : 'k')
        pushFound(args, view, foundAt(flight), snapshot)
      }
    }
    let reply: unknown
    try {
      reply = await scripts.run(
        'settle',
        [keys.generation, keys.viewFence(view.name), ...some.map(({ flight }) => flight.wanted.key)],
        args,
      )
      if (!Array.isArray(reply) || reply.length !== some.length) throw unexpected('settle')
    } catch (error) {
      giveUp(error)
      return
    }
    let stored = 0
    for (const [index, { flight, readAt }] of some.entries()) {
      const [what, ...rest] = asArray((reply as unknown[])[index])
      const present = what === 'k' ? entryOf(view, rest) : what === 'a' ? readAbsence(view, rest[0]) : undefined
      if (what === 's') stored++
      if (present) flight.land({ entry: present, bornAt: flight.stamp, source: 'hit', isStored: true })
      else landRead(flight, what === 's' ? flight.stamp : readAt, { isBypass: !isTrusted, isStored: what === 's' })
    }
    if (stored > 0) deps.observe(view, 'stored', stored)
    if (stored < some.length) deps.observe(view, 'not-stored', some.length - stored)
  }

  function settleHeader(view: CompiledView, lease: Lease, snapshot: string, insertLsn: Lsn): string[] {
    return [
      KINDS[view.kind],
      view.code,
      lease.token,
      lease.generation,
      snapshot,
      lsnToFixedHex(insertLsn),
      String(options.markTtlMs),
      String(options.absenceTtlMs),
    ]
  }

  function pushFound(args: string[], view: CompiledView, found: Found, snapshot: string): void {
    if (found.kind === 'document')
      args.push('v', String(ttlOf(view.view, deps.random)), versioned(found.text, `${view.code}|r|${snapshot}`))
    else if (found.kind === 'members') {
      args.push('h', String(ttlOf(view.view, deps.random)), String(found.members.size))
      for (const [field, text] of found.members) args.push(field, text)
    } else args.push(found.kind === 'absent' ? 'a' : 'x')
  }

  async function waitForOthers(view: CompiledView, flights: readonly Flight[]): Promise<void> {
    const working: Promise<void>[] = []
    let lost = flights
    try {
      for (const waitMs of WAITS_FOR_OTHERS_MS) {
        if (lost.length === 0) break
        await delay(waitMs)
        const again = await takeLeases(view, lost)
        working.push(readAndSettle(view, again.held, again.lease, true))
        lost = again.lost
      }
    } catch {
      // Redis went away meanwhile; the settle will notice, and the answer is given all the same.
    }
    await Promise.all([...working, readAndSettle(view, lost, NO_LEASE, true)])
  }

  return {
    async fill(view, flights) {
      const taken = await takeLeases(view, flights)
      const working = [readAndSettle(view, taken.held, taken.lease, true)]
      if (taken.lost.length > 0) {
        deps.observe(view, 'lease-lost', taken.lost.length)
        working.push(waitForOthers(view, taken.lost))
      }
      await Promise.all(working)
    },

    bypass: (view, flights) => readAndSettle(view, flights, NO_LEASE, false),

    async refresh(view, wanted) {
      const counts = { stored: 0, left: 0, notStored: 0 }
      const errors: unknown[] = []
      const flights = wanted.map((one): Flight => ({
        wanted: one,
        token: undefined,
        isPresentTooOld: false,
        stamp: 0,
        land({ source, isStored }) {
          if (source === 'hit') counts.left++
          else if (isStored) counts.stored++
          else counts.notStored++
        },
        fail(error) {
          counts.notStored++
          errors.push(error)
        },
      }))
      const { lease, held, lost } = await takeLeases(view, flights)
      counts.left += lost.length
      await readAndSettle(view, held, lease, true)
      const transient = errors.find((error) => retryOf(error) !== 'never')
      if (transient !== undefined) throw transient
      return counts
    },

    async settleLate(view, answered) {
      // One bound for all: the highest only keeps some of the keys cold a little longer.
      const insertLsn = answered.map((one) => one.insertLsn).reduce(maxLsn, LSN_ZERO)
      const args = [...settleHeader(view, NO_LEASE, EMPTY_SNAPSHOT, insertLsn), ...answered.flatMap(() => ['e', 'x'])]
      await scripts.run('settle', [keys.generation, keys.viewFence(view.name), ...answered.map(({ key }) => key)], args)
    },
  }
}

function entryOf(view: CompiledView, rest: readonly unknown[]): Entry | undefined {
  return view.kind === 'list' ? readMembers(view, rest) : readDocument(view, rest[0])
}

function entryRead(view: CompiledView, found: Exclude<Found, { kind: 'failed' }>, snapshot: string): Entry {
  const version = `${view.code}|r|${snapshot}`
  if (found.kind === 'absent') return absentEntry(view, snapshot)
  if (found.kind === 'document')
    return { version, value: { kind: 'document', document: JSON.parse(found.text) as Document } }
  return {
    version,
    value: { kind: 'members', members: Array.from(found.members.values(), (text) => JSON.parse(text) as Document) },
  }
}

function absentEntry(view: CompiledView, snapshot: string): Entry {
  return { version: `${view.code}|r|${snapshot}`, value: { kind: 'absent' } }
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : []
}

function unexpected(what: string): TrackOpsError {
  return new TrackOpsError('REDIS_REFUSED', `Redis answered ${what} with something unexpected`)
}
