/** Which of `size` things is asked for: 0 is the most popular one. `random` gives 0 to below 1. */
export type Popularity = (size: number, random: number) => number

export const uniform: Popularity = (size, random) => Math.min(size - 1, Math.floor(random * size))

/**
 * Zipf with exponent 1, the shape of most real traffic: the k-th thing is asked for in proportion to 1/k. By the inverse of the
 * continuous distribution, which needs no table, so `size` may grow from one call to the next:
 * the share of ranks below x is ln(x) / ln(size + 1) for x from 1 to size + 1.
 */
export const zipf: Popularity = (size, random) => Math.min(size - 1, Math.floor((size + 1) ** random) - 1)
