import type { Sql } from 'postgres'

import { answers } from '../http/fields.ts'
import { giveToken } from '../http/freshness.ts'
import { writeInTime } from '../http/fresh-write.ts'
import type { HttpServer } from '../http/server.ts'
import { textOf } from '../text.ts'
import { recall, remember } from './idempotency.ts'
import { hashOfOrder, newOrder } from './new-order.ts'
import { CreateHeaders, NewOrderBody, Order } from './order-schemas.ts'
import { insertOrder } from './order-store.ts'

/**
 * `POST /api/orders`. With an Idempotency-Key, a repetition gets the first answer again, status and body to the byte, and a token
 * of now, which is right for the order as it was then and as it is since.
 */
export function createRoute(app: HttpServer, deps: { readonly orders: Sql }): void {
  app.post(
    '/api/orders',
    {
      schema: {
        summary: 'Create an order',
        headers: CreateHeaders,
        body: NewOrderBody,
        response: answers(201, Order),
      },
    },
    async (request, reply) => {
      const order = newOrder(request.body)
      const key = request.headers['idempotency-key']
      const claim = key === undefined ? undefined : { key, requestHash: hashOfOrder(order) }
      const { result, token } = await writeInTime(deps.orders, async (tx) => {
        const earlier = claim && (await recall(tx, claim))
        if (earlier !== undefined) return earlier
        const created = await insertOrder(tx, order)
        const response = JSON.stringify(created)
        if (claim) await remember(tx, claim, textOf(created.id), response)
        return response
      })
      giveToken(reply, token)
      const { id } = JSON.parse(result) as { id: string }
      void reply.code(201).header('location', `/api/orders/${id}`).type('application/json; charset=utf-8')
      // Sent as text: it is what will be sent for this key again.
      return await reply.serializer((text: string) => text).send(result)
    },
  )
}
