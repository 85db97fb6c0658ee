import { randomUUID } from 'node:crypto'

import type { Popularity } from './popularity.ts'

export interface KnownOrder {
  readonly id: string
  readonly customerId: string
  /** As last seen in an answer. */
  status: string
}

/** What the load remembers of what it made: bounded, so that it can run for days. */
export interface KnownOrders {
  readonly size: number
  add(order: KnownOrder): void
  pick(): KnownOrder | undefined
  /** Somebody who orders. After many orders they make room for a new customer, so that lists stay of a size that is real. */
  pickCustomer(): string
}

const MAX_ORDERS = 10_000
const CUSTOMERS = 300
const ORDERS_PER_CUSTOMER = 40

export function createKnownOrders(popularity: Popularity, random: () => number): KnownOrders {
  const orders: KnownOrder[] = []
  const customers = Array.from({ length: CUSTOMERS }, () => ({ id: randomUUID() as string, orders: 0 }))
  return {
    get size() {
      return orders.length
    },
    add(order) {
      // Where there is no room, a random one is forgotten: the popular ones change with time.
      if (orders.length < MAX_ORDERS) orders.push(order)
      else orders[Math.floor(random() * MAX_ORDERS)] = order
    },
    pick: () => (orders.length === 0 ? undefined : orders[popularity(orders.length, random())]),
    pickCustomer() {
      const index = popularity(CUSTOMERS, random())
      const known = customers[index]
      const customer = known && known.orders < ORDERS_PER_CUSTOMER ? known : { id: randomUUID(), orders: 0 }
      customer.orders += 1
      customers[index] = customer
      return customer.id
    },
  }
}
