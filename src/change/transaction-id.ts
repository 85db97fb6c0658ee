/**
 * Change events carry transaction ids of 32 bits, snapshots of 64. The epoch comes from a snapshot taken lately: ids in use
 * are never further than 2^31 from it. In the first epoch there is none before: what seems to be of one is still to come.
 * https://www.postgresql.org/docs/current/transaction-id.html
 */
export function extendXid(xid: number, near: bigint): bigint {
  const EPOCH = 1n << 32n
  const candidate = (near & ~(EPOCH - 1n)) | BigInt(xid)
  if (candidate - near > EPOCH / 2n && candidate >= EPOCH) return candidate - EPOCH
  if (near - candidate > EPOCH / 2n) return candidate + EPOCH
  return candidate
}

/** `pg_snapshot`, as its text has it: `xmin:xmax:xip,xip,...` */
export interface Snapshot {
  readonly xmin: bigint
  readonly xmax: bigint
  readonly running: ReadonlySet<bigint>
}

/** @throws RangeError if the text is not a pg_snapshot */
export function parseSnapshot(text: string): Snapshot {
  const match = /^(\d+):(\d+):([\d,]*)$/.exec(text)
  if (!match) throw new RangeError(`not a pg_snapshot: ${JSON.stringify(text)}`)
  const running = (match[3] ?? '').split(',').filter(Boolean).map(BigInt)
  return { xmin: BigInt(match[1] ?? ''), xmax: BigInt(match[2] ?? ''), running: new Set(running) }
}

/** Is everything that `before` shows shown by `now` as well? */
export function showsAll(before: Snapshot, now: Snapshot): boolean {
  for (const xid of now.running) if (isVisible(xid, before)) return false
  for (let xid = now.xmax; xid < before.xmax; xid++) if (isVisible(xid, before)) return false
  return true
}

export function isVisible(xid: bigint, snapshot: Snapshot): boolean {
  return xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.running.has(xid))
}
