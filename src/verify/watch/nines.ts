/**
 * How many nines of what was looked at are right, with 95 % confidence: none wrong of 3,000 is three nines, not infinitely many. The
 * upper bound of a Poisson count, as Wilson and Hilferty approximate it (within 2 % of the exact one).
 */
export function ninesOf(checked: number, violations: number): number {
  if (checked === 0) return 0
  const next = violations + 1
  const atMost = next * (1 - 1 / (9 * next) + 1.645 / (3 * Math.sqrt(next))) ** 3
  return Math.max(0, -Math.log10(Math.min(1, atMost / checked)))
}
