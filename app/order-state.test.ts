import assert from 'node:assert/strict'
import { test } from 'node:test'

import { judgeStep, ORDER_STATES, type OrderState, type StepVerdict } from './order-state.ts'

/** Every pair of states, so that no step is allowed or refused by oversight. */
const TABLE: Record<OrderState, Record<OrderState, StepVerdict>> = {
  PENDING: row('same step refused refused refused step step'),
  CONFIRMED: row('refused same step refused refused step refused'),
  PROCESSING: row('refused refused same step refused step refused'),
  SHIPPED: row('refused refused refused same step refused refused'),
  DELIVERED: row('refused refused refused refused same refused refused'),
  CANCELLED: row('refused refused refused refused refused same refused'),
  REJECTED: row('refused refused refused refused refused refused same'),
}

test('every pair of states is a step, the same, or refused, exactly as the table says', () => {
  for (const from of ORDER_STATES) {
    for (const to of ORDER_STATES) assert.equal(judgeStep(from, to), TABLE[from][to], `${from} -> ${to}`)
  }
})

test('a status that SQL invented is left alone', () => {
  for (const to of ORDER_STATES) assert.equal(judgeStep('ON_HOLD', to), 'refused')
  assert.equal(judgeStep('toString', 'CANCELLED'), 'refused')
})

function row(verdicts: string): Record<OrderState, StepVerdict> {
  const words = verdicts.split(' ') as StepVerdict[]
  assert.equal(words.length, ORDER_STATES.length)
  return Object.fromEntries(ORDER_STATES.map((state, index) => [state, words[index]])) as Record<
    OrderState,
    StepVerdict
  >
}
