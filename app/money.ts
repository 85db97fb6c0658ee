/**
 * Amounts as whole cents in a bigint: exact, whatever is added or multiplied. The limits are those of numeric(12,2).
 */
export const MAX_CENTS = 9_999_999_999_99n

/**
 * `12.5`, `"12.50"`, `12`: at most two decimals, not negative. A JSON number below 10^10 with two decimals has 12 digits, so its
 * shortest decimal form is exactly what the client wrote. undefined for anything else.
 */
export function centsOf(amount: string | number): bigint | undefined {
  const match = /^(\d{1,10})(?:\.(\d{1,2}))?$/.exec(String(amount))
  if (!match) return undefined
  return BigInt(match[1] ?? '') * 100n + BigInt((match[2] ?? '').padEnd(2, '0'))
}

/** `1250n` to `"12.50"`, as PostgreSQL writes numeric(12,2). */
export function amountOf(cents: bigint): string {
  return `${cents / 100n}.${String(cents % 100n).padStart(2, '0')}`
}
