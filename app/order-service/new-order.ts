import { createHash } from 'node:crypto'

import { Problem } from '../http/problem.ts'
import { amountOf, centsOf, MAX_CENTS } from '../money.ts'
import type { NewOrderBody } from './order-schemas.ts'

/** An order as asked for, in one form: amounts computed, what was left out is null. */
export interface NewOrder {
  readonly customerId: string
  readonly totalAmount: string
  readonly address: Readonly<Record<'street' | 'city' | 'state' | 'postalCode' | 'country', string | null>>
  readonly deliveryInstructions: string | null
  readonly phoneNumber: string | null
  readonly items: readonly NewItem[]
}

interface NewItem {
  readonly productId: string
  readonly productName: string | null
  readonly quantity: number
  readonly unitPrice: string
  readonly totalPrice: string
}

/** @throws Problem 400 for an amount that is none or that the columns could not hold */
export function newOrder(body: NewOrderBody): NewOrder {
  let totalCents = 0n
  const items = body.items.map((item, index): NewItem => {
    const unitCents = centsOf(item.unitPrice)
    if (unitCents === undefined) {
      throw new Problem(
        'invalid-request',
        `body/items/${index}/unitPrice must be from 0 to ${amountOf(MAX_CENTS)} with at most two decimals`,
      )
    }
    const lineCents = unitCents * BigInt(item.quantity)
    totalCents += lineCents
    return {
      productId: item.productId,
      productName: item.productName ?? null,
      quantity: item.quantity,
      unitPrice: amountOf(unitCents),
      totalPrice: amountOf(lineCents),
    }
  })
  // Lines are not negative, so no line can be too large while their sum is not.
  if (totalCents > MAX_CENTS) {
    throw new Problem('invalid-request', `body/items must not cost more than ${amountOf(MAX_CENTS)} together`)
  }
  return {
    customerId: body.customerId.toLowerCase(),
    totalAmount: amountOf(totalCents),
    address: {
      street: body.address?.street ?? null,
      city: body.address?.city ?? null,
      state: body.address?.state ?? null,
      postalCode: body.address?.postalCode ?? null,
      country: body.address?.country ?? null,
    },
    deliveryInstructions: body.deliveryInstructions ?? null,
    phoneNumber: body.phoneNumber ?? null,
    items,
  }
}

/** Equal for bodies that ask for the same order, however they are written: `12.5` and `"12.50"`, members in any order. */
export function hashOfOrder(order: NewOrder): string {
  return createHash('sha256').update(JSON.stringify(order)).digest('hex')
}
