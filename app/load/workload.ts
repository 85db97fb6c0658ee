/** What the imagined customers and clerks do, and how often: decisions without I/O. */
export type Operation = 'read order' | 'read status' | 'read list' | 'create' | 'advance' | 'cancel'

/** Shares of 100. Reads outnumber writes about as much as in a shop: people look at an order far more often than it moves. */
const SHARES: readonly (readonly [Operation, number])[] = [
  ['read order', 40],
  ['read status', 22],
  ['read list', 13],
  ['create', 10],
  ['advance', 12],
  ['cancel', 3],
]

/** Below this many known orders everything else would ask for the same few. */
const MIN_ORDERS = 20

/** `random`: 0 to below 1. */
export function chooseOperation(knownOrders: number, random: number): Operation {
  if (knownOrders < MIN_ORDERS) return 'create'
  let left = random * 100
  for (const [operation, share] of SHARES) {
    left -= share
    if (left < 0) return operation
  }
  return 'read order'
}

/** The verb that takes an order on from its status; undefined where it is somebody else's turn, or the end. */
export function nextStep(status: string): 'process' | 'ship' | 'deliver' | undefined {
  if (status === 'CONFIRMED') return 'process'
  if (status === 'PROCESSING') return 'ship'
  return status === 'SHIPPED' ? 'deliver' : undefined
}

export function isCancellable(status: string): boolean {
  return status === 'PENDING' || status === 'CONFIRMED' || status === 'PROCESSING'
}

const PRODUCTS = 200
const MAX_LINES = 4
const MAX_QUANTITY = 3

/** One to four lines of cheap things; the price belongs to the product. */
export function newCart(pickProduct: (size: number) => number, random: () => number) {
  const lines = 1 + Math.floor(random() * MAX_LINES)
  return Array.from({ length: lines }, () => {
    const product = pickProduct(PRODUCTS)
    return {
      productId: `SKU-${String(product + 1).padStart(4, '0')}`,
      productName: `Product ${product + 1}`,
      quantity: 1 + Math.floor(random() * MAX_QUANTITY),
      unitPrice: `${1 + (product % 90)}.${String((product * 37) % 100).padStart(2, '0')}`,
    }
  })
}
