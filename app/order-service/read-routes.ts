import type { CacheReader, Document } from '../../src/index.ts'
import { FreshHeaders, OrderIdParams, answers } from '../http/fields.ts'
import { tellSource, tokenOf } from '../http/freshness.ts'
import { readInTime } from '../http/fresh-write.ts'
import { Problem } from '../http/problem.ts'
import type { HttpServer } from '../http/server.ts'
import { compareTexts, textOf } from '../text.ts'
import { customerOrders, orderEntity, orderItems, orderStatus } from '../views.ts'
import { CustomerOrders, CustomerParams, Order, OrderStatus } from './order-schemas.ts'
import { withItems } from './order-store.ts'

/** All reads go through the cache; none of them touches the database here. */
export function readRoutes(app: HttpServer, deps: { readonly cache: CacheReader }): void {
  const { cache } = deps

  app.get(
    '/api/orders/:id',
    {
      schema: {
        summary: 'An order and its items',
        params: OrderIdParams,
        headers: FreshHeaders,
        response: answers(200, Order),
      },
    },
    async (request, reply) => {
      const id = request.params.id.toLowerCase()
      const options = { token: tokenOf(request) }
      const [entity, items] = await readInTime(() =>
        Promise.all([cache.get(orderEntity, { id }, options), cache.list(orderItems, { order_id: id }, options)]),
      )
      tellSource(reply, entity, items)
      if (!entity.value) throw orderNotFound(id)
      return withItems(entity.value, items.value)
    },
  )

  app.get(
    '/api/orders/:id/status',
    {
      schema: {
        summary: 'The status of an order, and since when',
        params: OrderIdParams,
        headers: FreshHeaders,
        response: answers(200, OrderStatus),
      },
    },
    async (request, reply) => {
      const id = request.params.id.toLowerCase()
      const options = { token: tokenOf(request) }
      const status = await readInTime(() => cache.get(orderStatus, { id }, options))
      tellSource(reply, status)
      if (!status.value) throw orderNotFound(id)
      return status.value
    },
  )

  app.get(
    '/api/customers/:customerId/orders',
    {
      schema: {
        summary: 'The orders of a customer, newest first',
        description: 'A customer without orders has an empty list: customers are not known here otherwise.',
        params: CustomerParams,
        headers: FreshHeaders,
        response: answers(200, CustomerOrders),
      },
    },
    async (request, reply) => {
      const key = { customer_id: request.params.customerId.toLowerCase() }
      const options = { token: tokenOf(request) }
      const list = await readInTime(() => cache.list(customerOrders, key, options))
      tellSource(reply, list)
      return { orders: list.value.toSorted(newestFirst) }
    },
  )
}

export function orderNotFound(id: string): Problem {
  return new Problem('order-not-found', `There is no order ${id}.`)
}

/** Of orders of one moment, the smaller id comes first. */
export function newestFirst(a: Document, b: Document): number {
  return compareTimes(textOf(b.createdAt), textOf(a.createdAt)) || compareTexts(textOf(a.id), textOf(b.id))
}

/** The year is compared as a number, the rest, of one form, as text: SQL may write the year 20000, one BC, or infinity. */
function compareTimes(a: string, b: string): number {
  const [yearA, restA] = splitTime(a)
  const [yearB, restB] = splitTime(b)
  return yearA === yearB ? compareTexts(restA, restB) : yearA - yearB
}

function splitTime(text: string): readonly [year: number, rest: string] {
  if (text === 'infinity') return [Infinity, '']
  if (text === '-infinity') return [-Infinity, '']
  const dash = text.indexOf('-')
  const year = Number(text.slice(0, dash))
  return [text.endsWith(' BC') ? -year : year, text.slice(dash)]
}
