import type { FastifyReply } from 'fastify'
import type { Sql } from 'postgres'

import { OrderIdParams, answers } from '../http/fields.ts'
import { giveToken } from '../http/freshness.ts'
import { writeInTime } from '../http/fresh-write.ts'
import { isStorableText } from '../http/json-body.ts'
import { Problem } from '../http/problem.ts'
import type { HttpServer } from '../http/server.ts'
import { isOrderState, judgeStep, ORDER_STATES, type OrderState } from '../order-state.ts'
import { CancelQuery, Order, StatusBody } from './order-schemas.ts'
import { lockStatus, type OrderDocument, readOrder, setStatus } from './order-store.ts'
import { orderNotFound } from './read-routes.ts'

const STEPS_BY_VERB = {
  confirm: 'CONFIRMED',
  process: 'PROCESSING',
  ship: 'SHIPPED',
  deliver: 'DELIVERED',
} as const satisfies Record<string, OrderState>

/** Steps of an order from state to state. One at a time for an order: the row's lock decides who is first. */
export function statusRoutes(app: HttpServer, deps: { readonly orders: Sql }): void {
  const step = async (reply: FastifyReply, id: string, wanted: OrderState, reason: string | null = null) => {
    const { result, token } = await writeInTime(deps.orders, async (tx): Promise<OrderDocument> => {
      const current = await lockStatus(tx, id)
      if (current === undefined) throw orderNotFound(id)
      const verdict = judgeStep(current, wanted)
      if (verdict === 'refused') {
        throw new Problem('invalid-transition', `The order is ${current} and does not go from there to ${wanted}.`, {
          members: { currentStatus: current, requestedStatus: wanted },
        })
      }
      if (verdict === 'step') await setStatus(tx, id, wanted, reason)
      const order = await readOrder(tx, id)
      if (!order) throw orderNotFound(id)
      return order
    })
    giveToken(reply, token)
    return result
  }

  app.put(
    '/api/orders/:id/status',
    {
      schema: {
        summary: 'Take an order to a status',
        description: 'The status that it has already is no step, and no error.',
        params: OrderIdParams,
        body: StatusBody,
        response: answers(200, Order),
      },
    },
    async (request, reply) => {
      const { status } = request.body
      if (!isOrderState(status)) {
        throw new Problem('unknown-status', `body/status must be one of ${ORDER_STATES.join(', ')}.`)
      }
      return await step(reply, request.params.id.toLowerCase(), status)
    },
  )

  for (const [verb, status] of Object.entries(STEPS_BY_VERB)) {
    app.post(
      `/api/orders/:id/${verb}`,
      {
        schema: {
          summary: `Take an order to ${status}`,
          params: OrderIdParams,
          response: answers(200, Order),
        },
      },
      async (request, reply) => await step(reply, request.params.id.toLowerCase(), status),
    )
  }

  app.delete(
    '/api/orders/:id',
    {
      schema: {
        summary: 'Cancel an order',
        description: 'The order stays, as CANCELLED. From SHIPPED on it is too late: 409.',
        params: OrderIdParams,
        querystring: CancelQuery,
        response: answers(200, Order),
      },
    },
    async (request, reply) => {
      const { reason } = request.query
      if (reason !== undefined && !isStorableText(reason)) {
        throw new Problem('invalid-request', 'querystring/reason must be text without NUL.')
      }
      return await step(reply, request.params.id.toLowerCase(), 'CANCELLED', reason || null)
    },
  )
}
