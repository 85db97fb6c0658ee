/**
 * What an order asks of the stock, as decisions without a database.
 */
export interface OrderLine {
  readonly productId: string
  readonly quantity: number
}

/** By product, in one order for everybody: two orders that lock the same products never wait for each other in a ring. */
export type Demand = ReadonlyMap<string, bigint>

export interface Stock {
  readonly productId: string
  readonly available: bigint
}

/**
 * `nothing`: an order without items. `impossible`: SQL may write lines that no stock can serve (no product, one with a very
 * long id, a quantity below one); the
 * order gets its answer all the same. Lines of one product are added up.
 */
export type Wanted =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'impossible'; readonly reason: string }
  | { readonly kind: 'demand'; readonly demand: Demand }

/** An index entry of PostgreSQL holds some 2,700 bytes, and product ids are keys here. */
const LONGEST_PRODUCT_ID_BYTES = 2000

export function wantedOf(items: unknown): Wanted {
  if (!Array.isArray(items) || items.length === 0) return { kind: 'nothing' }
  const sums = new Map<string, bigint>()
  for (const item of items as readonly unknown[]) {
    const line = lineOf(item)
    if (!line) return { kind: 'impossible', reason: 'an item has no product or no quantity of at least 1' }
    if (Buffer.byteLength(line.productId) > LONGEST_PRODUCT_ID_BYTES)
      return { kind: 'impossible', reason: `an item's product id has more than ${LONGEST_PRODUCT_ID_BYTES} bytes` }
    sums.set(line.productId, (sums.get(line.productId) ?? 0n) + BigInt(line.quantity))
  }
  const sorted = [...sums].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return { kind: 'demand', demand: new Map(sorted) }
}

function lineOf(item: unknown): OrderLine | undefined {
  if (typeof item !== 'object' || item === null) return undefined
  const { productId, quantity } = item as { productId?: unknown; quantity?: unknown }
  if (typeof productId !== 'string' || productId === '') return undefined
  if (typeof quantity !== 'number' || !Number.isSafeInteger(quantity) || quantity < 1) return undefined
  return { productId, quantity }
}

/** The first product that there is too little of, or undefined: then all of it can be reserved. */
export function shortage(demand: Demand, stocks: readonly Stock[]): { productId: string; missing: bigint } | undefined {
  const availableByProduct = new Map(stocks.map(({ productId, available }) => [productId, available]))
  for (const [productId, quantity] of demand) {
    const missing = quantity - (availableByProduct.get(productId) ?? 0n)
    if (missing > 0n) return { productId, missing }
  }
  return undefined
}
