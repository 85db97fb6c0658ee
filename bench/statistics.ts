/** What many values, or some rounds, are told by. */

export interface Quantiles {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** The value that so large a share of all does not exceed. */
export function quantilesOf(valuesMs: readonly number[]): Quantiles {
  const sorted = Float64Array.from(valuesMs).sort()
  const quantile = (share: number): number =>
    Number((sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN).toFixed(3))
  return { p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: quantile(1) }
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
  return (lower + upper) / 2
}

/** `12.3 (11 to 14.2)`: the median of the rounds, the least and the greatest. */
export function spread(numbers: readonly number[]): string {
  const middle = figure(median(numbers))
  if (numbers.length < 2) return middle
  return `${middle} (${figure(Math.min(...numbers))} to ${figure(Math.max(...numbers))})`
}

/** For people: three digits that count, or all of a whole number. */
export function figure(number: number): string {
  const decimals = Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 10 ? 1 : 2
  return number.toLocaleString('en-US', { maximumFractionDigits: decimals })
}
