import type { Admin } from '@platformatic/kafka'
import type { Sql } from 'postgres'

import { type Lsn, parseLsn } from '../../change/lsn.ts'
import { endOffsets, type PartitionOffsets } from '../../log/kafka/topic-offsets.ts'

/** Positions of each consumer in these partitions. One that has none of a partition has read nothing of it. */
export type ReadPositions = (partitions: readonly string[]) => Promise<readonly PartitionOffsets[]>

/**
 * Offsets and LSNs do not compare; but PostgreSQL knows up to where the connector has everything safely in Kafka (it confirms no
 * more), and the topics' ends, looked at after that, are beyond it. Once the consumers have passed those ends, they have passed that LSN.
 */
export interface LogProgress {
  /** All consumers have processed everything that commits before it; null as long as nothing is known. Rises from call to call. */
  reached(): Promise<Lsn | null>
}

export function createLogProgress(
  deps: { readonly admin: Admin; readonly sql: Sql; readonly positions: ReadPositions },
  options: { readonly slot: string; readonly topics: readonly string[] },
): LogProgress {
  const { admin, sql, positions } = deps
  let reached: Lsn | null = null
  let next: { readonly lsn: Lsn; readonly ends: PartitionOffsets } | undefined

  async function look(): Promise<typeof next> {
    const [slot] = await sql<{ lsn: string | null }[]>`
      select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = ${options.slot}`
    if (!slot?.lsn) return undefined
    return { lsn: parseLsn(slot.lsn), ends: await endOffsets(admin, options.topics) }
  }

  return {
    async reached() {
      next ??= await look()
      const at = next && (await positions([...next.ends.keys()]))
      if (next && at && hasPassed(at, next.ends)) {
        reached = next.lsn
        next = undefined
      }
      return reached
    },
  }
}

function hasPassed(positions: readonly PartitionOffsets[], ends: PartitionOffsets): boolean {
  return positions.every((at) =>
    Array.from(ends).every(([partition, end]) => end === 0n || (at.get(partition) ?? -1n) >= end),
  )
}
