import { type Lsn, lsnFromFixedHex, lsnToFixedHex } from '../change/lsn.ts'

/**
 * What a write hands to a later reader so that it sees that write (L7): the write's transaction and the flushed WAL
 * position after its commit. As text `751-0000000001D2F3A8`: opaque to clients, safe in a header.
 */
export interface FreshnessToken {
  /** 64 bits, as `pg_current_xact_id()` gives it. */
  readonly xid: bigint
  readonly lsn: Lsn
}

const MAX_XID = 0xffff_ffff_ffff_ffffn

export function formatToken(token: FreshnessToken): string {
  return `${token.xid}-${lsnToFixedHex(token.lsn)}`
}

/** undefined for anything that `formatToken` did not write: the caller decides whether that is a bad request. */
export function parseToken(text: string): FreshnessToken | undefined {
  const match = /^(\d{1,20})-([0-9A-F]{16})$/.exec(text)
  if (!match || BigInt(match[1] ?? '') > MAX_XID) return undefined
  return { xid: BigInt(match[1] ?? ''), lsn: lsnFromFixedHex(match[2] ?? '') }
}
