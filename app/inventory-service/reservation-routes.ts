import type { Sql } from 'postgres'
import { Type } from 'typebox'

import { answers, Uuid } from '../http/fields.ts'
import { tokenOf } from '../http/freshness.ts'
import { readInTime } from '../http/fresh-write.ts'
import { Problem } from '../http/problem.ts'
import type { HttpServer } from '../http/server.ts'
import { readReservation } from './reservation-store.ts'

const ReservationSchema = Type.Object({
  orderId: Uuid,
  status: Type.Unsafe<string>({ type: 'string', enum: ['RESERVED', 'FAILED', 'CANCELLED'] }),
  reason: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  items: Type.Array(Type.Object({ productId: Type.String(), quantity: Type.Integer() })),
})

/** Read from the database each time, like stock. */
export function reservationRoutes(app: HttpServer, deps: { readonly inventory: Sql }): void {
  app.get(
    '/api/reservations/:orderId',
    {
      schema: {
        summary: 'What an order has reserved',
        params: Type.Object({ orderId: Uuid }),
        response: answers(200, ReservationSchema),
      },
    },
    async (request) => {
      tokenOf(request)
      const orderId = request.params.orderId.toLowerCase()
      const reservation = await readInTime(() => readReservation(deps.inventory, orderId))
      if (!reservation) throw new Problem('reservation-not-found', `Order ${orderId} has no reservation.`)
      return reservation
    },
  )
}
