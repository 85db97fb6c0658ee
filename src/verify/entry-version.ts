import { type Lsn, lsnFromFixedHex } from '../change/lsn.ts'
import { parseSnapshot } from '../change/transaction-id.ts'

/** What an entry says that it was made from (PROTOCOL.md, "Versions"); the text's form is that of cache/lua/versions.lua. */
export type EntryVersion =
  | { readonly kind: 'change'; readonly code: string; readonly lsn: Lsn; readonly xid: bigint }
  | { readonly kind: 'read'; readonly code: string; readonly snapshot: string }

/** undefined if the text is none of ours. */
export function parseEntryVersion(text: string): EntryVersion | undefined {
  const [, code, kind, rest] = /^([0-9a-f]+)\|([er])\|(.*)$/.exec(text) ?? []
  if (code === undefined || rest === undefined) return undefined
  try {
    if (kind === 'r') {
      parseSnapshot(rest)
      return { kind: 'read', code, snapshot: rest }
    }
    const [, lsn, xid] = /^([0-9A-F]{16})\|(\d+)$/.exec(rest) ?? []
    return lsn === undefined || xid === undefined
      ? undefined
      : { kind: 'change', code, lsn: lsnFromFixedHex(lsn), xid: BigInt(xid) }
  } catch {
    return undefined
  }
}
