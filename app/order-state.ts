/**
 * The states of an order and the steps between them, as a table. SQL may write any text; for a status that is not here
 * no step exists, and the services leave it alone.
 *
 *     PENDING -> CONFIRMED -> PROCESSING -> SHIPPED -> DELIVERED
 *        |  \        |             |
 *        |   +-------+-------------+--> CANCELLED
 *        +--> REJECTED
 */
export const ORDER_STATES = [
  'PENDING',
  'CONFIRMED',
  'PROCESSING',
  'SHIPPED',
  'DELIVERED',
  'CANCELLED',
  'REJECTED',
] as const

export type OrderState = (typeof ORDER_STATES)[number]

const STEPS: Readonly<Record<OrderState, readonly OrderState[]>> = {
  PENDING: ['CONFIRMED', 'REJECTED', 'CANCELLED'],
  CONFIRMED: ['PROCESSING', 'CANCELLED'],
  PROCESSING: ['SHIPPED', 'CANCELLED'],
  SHIPPED: ['DELIVERED'],
  DELIVERED: [],
  CANCELLED: [],
  REJECTED: [],
}

/** `step`: do it. `same`: it is there already, nothing to do. `refused`: no such step. */
export type StepVerdict = 'step' | 'same' | 'refused'

/** `current` is whatever the database holds. */
export function judgeStep(current: string, wanted: OrderState): StepVerdict {
  if (current === wanted) return 'same'
  return isOrderState(current) && STEPS[current].includes(wanted) ? 'step' : 'refused'
}

export function isOrderState(text: string): text is OrderState {
  return (ORDER_STATES as readonly string[]).includes(text)
}
