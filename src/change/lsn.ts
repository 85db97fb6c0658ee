/**
 * A byte position in the write-ahead log. LSNs order the changes of one row (its row lock serialises them) and the
 * commits of one database; they do not order changes of different rows: see docs/invariants.md, "Versions".
 */
declare const lsnBrand: unique symbol
export type Lsn = bigint & { readonly [lsnBrand]: true }

const MAX_LSN = 0xffff_ffff_ffff_ffffn

/** @throws RangeError outside 0..2^64-1 */
export function toLsn(value: bigint): Lsn {
  if (value < 0n || value > MAX_LSN) throw new RangeError(`not an LSN: ${value}`)
  return value as Lsn
}

/** No WAL was written before this position. */
export const LSN_ZERO: Lsn = toLsn(0n)

/** Reads PostgreSQL's own notation, `16/B374D848`. @throws RangeError for anything else */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text)
  if (!match) throw new RangeError(`not an LSN: ${JSON.stringify(text)}, expected the form 16/B374D848`)
  return toLsn((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`))
}

export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`
}

/** 16 upper-case hex digits: texts of equal length, so that Lua and any language compare LSNs as strings. */
export function lsnToFixedHex(lsn: Lsn): string {
  const digits = lsn.toString(16).toUpperCase()
  return `${'0000000000000000'.slice(digits.length)}${digits}`
}

/** @throws RangeError unless the text is what `lsnToFixedHex` writes */
export function lsnFromFixedHex(text: string): Lsn {
  if (!/^[0-9A-F]{16}$/.test(text)) throw new RangeError(`not a fixed-width LSN: ${JSON.stringify(text)}`)
  return toLsn(BigInt(`0x${text}`))
}

export function maxLsn(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b
}

export function minLsn(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b
}
