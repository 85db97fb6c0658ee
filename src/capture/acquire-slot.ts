import { randomUUID } from 'node:crypto'

import type { Sql } from 'postgres'

import type { History } from '../change/change-event.ts'
import { formatLsn, type Lsn } from '../change/lsn.ts'
import { backoffDelayMs, pause } from '../runtime/backoff.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import type { Logger } from '../runtime/logger.ts'
import type { ReplicationConnection } from './replication-connection.ts'
import type { SlotLedger, SnapshotReason } from './slot-ledger.ts'
import { type CreatedSlot, createSlot, decideSlot, dropSlot, identifySystem, readSlot } from './slot.ts'
import { whileNamingWhatWeWaitFor } from './slot-wait.ts'

export interface AcquiredSlot {
  readonly history: History
  readonly resumeLsn: Lsn
  /** null: the slot continues where it stood. */
  readonly created: (CreatedSlot & { readonly reason: SnapshotReason }) | null
}

export interface AcquireSlotDeps {
  readonly sql: Sql
  readonly log: Logger
  readonly connection: ReplicationConnection
  readonly random: () => number
}

export interface AcquireSlotOptions {
  readonly slot: string
  readonly exportsSnapshot: boolean
  /** How long another process may hold the slot before we give up. */
  readonly slotBusyTimeoutMs: number
  /** How long creating a slot may wait for transactions that are under way. */
  readonly slotCreationTimeoutMs: number
  readonly signal: AbortSignal
}

/**
 * The slot, continued if its history is known to be unbroken, else made anew under a new epoch.
 *
 * @throws TrackOpsError SLOT_BUSY, TIMEOUT (transactions that do not end), CONFIG_INVALID (somebody else's slot), ...
 */
export async function acquireSlot(
  deps: AcquireSlotDeps,
  ledger: SlotLedger,
  options: AcquireSlotOptions,
): Promise<AcquiredSlot> {
  const { sql, log, connection } = deps
  const { slot } = options
  const server = await identifySystem(connection)
  await untilInactive(deps, options)
  const decision = decideSlot({ slot: await readSlot(sql, slot), ledger: await ledger.read(slot), server })
  if (decision.kind === 'refuse') {
    throw new TrackOpsError('CONFIG_INVALID', `replication slot ${slot} cannot be used: ${decision.why}`, {
      details: { slot },
    })
  }
  if (decision.kind === 'resume') {
    const { history, resumeLsn } = decision
    return { history, resumeLsn, created: null }
  }
  const { systemIdentifier, timeline } = server
  const history = { systemIdentifier, timeline, slotEpoch: randomUUID() }
  log.info({ slot, reason: decision.reason, why: decision.why, slotEpoch: history.slotEpoch }, 'making the slot anew')
  await ledger.begin(slot, history, decision.reason)
  if (decision.dropsFirst) await dropSlot(sql, slot)
  const created = await makeSlot(deps, { ...options, isTemporary: false })
  return { history, resumeLsn: created.consistentPoint, created: { ...created, reason: decision.reason } }
}

/** A slot that ends with its connection; no ledger, no history to continue. @throws TrackOpsError */
export async function acquireTemporarySlot(deps: AcquireSlotDeps, options: AcquireSlotOptions): Promise<AcquiredSlot> {
  const { systemIdentifier, timeline } = await identifySystem(deps.connection)
  const created = await makeSlot(deps, { ...options, isTemporary: true })
  return {
    history: { systemIdentifier, timeline, slotEpoch: randomUUID() },
    resumeLsn: created.consistentPoint,
    created: { ...created, reason: 'initial' },
  }
}

async function makeSlot(
  deps: AcquireSlotDeps,
  options: AcquireSlotOptions & { readonly isTemporary: boolean },
): Promise<CreatedSlot> {
  const { slot, slotCreationTimeoutMs: timeoutMs } = options
  const created = await whileNamingWhatWeWaitFor(deps, { slot, timeoutMs }, () => createSlot(deps.connection, options))
  deps.log.info({ slot, consistentPoint: formatLsn(created.consistentPoint) }, 'replication slot created')
  return created
}

/** A process that was killed may hold its slot for a moment more. */
async function untilInactive(deps: AcquireSlotDeps, options: AcquireSlotOptions): Promise<void> {
  const { slot, signal } = options
  const startedMs = performance.now()
  for (let attempt = 1; ; attempt++) {
    const state = await readSlot(deps.sql, slot)
    if (!state?.isActive || signal.aborted) return
    if (performance.now() - startedMs >= options.slotBusyTimeoutMs) {
      throw new TrackOpsError('SLOT_BUSY', `replication slot ${slot} is read by another process`, {
        details: { slot, activePid: state.activePid },
      })
    }
    if (attempt === 1)
      deps.log.warn({ slot, activePid: state.activePid }, 'the slot is in use by another process: waiting')
    await pause(backoffDelayMs(attempt, { maxMs: 1_000, random: deps.random }), signal)
  }
}
