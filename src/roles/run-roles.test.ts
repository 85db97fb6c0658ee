import assert from 'node:assert/strict'
import { test } from 'node:test'

import { decideRoles } from './run-roles.ts'

const SERVICES = ['order-service', 'inventory-service']

test('without Kafka the consumers are run with the capture, all of them, or none', () => {
  assert.throws(() => decideRoles(['cache-warmer'], SERVICES, 'embedded'), {
    code: 'USAGE',
    message: /name capture, order-event-consumer, cache-invalidator as well/,
  })
  const all = ['capture', 'order-event-consumer', 'cache-invalidator', 'cache-warmer']
  assert.equal(decideRoles(all, SERVICES, 'embedded').consumers.length, 3)
  assert.deepEqual(decideRoles(['order-service', 'console'], SERVICES, 'embedded'), {
    consumers: [],
    withConsole: true,
    services: ['order-service'],
  })
})

test('with Kafka any consumer runs alone, and Debezium is the capture', () => {
  assert.deepEqual(decideRoles(['cache-warmer'], SERVICES, 'distributed').consumers, ['cache-warmer'])
  assert.throws(() => decideRoles(['capture', 'cache-warmer'], SERVICES, 'distributed'), {
    code: 'USAGE',
    message: /Debezium is the capture/,
  })
})

test('a role that there is not, and none at all, are answered with those that there are', () => {
  for (const mode of ['embedded', 'distributed'] as const) {
    assert.throws(() => decideRoles(['warmer'], SERVICES, mode), {
      code: 'USAGE',
      message: /there is no role "warmer"/,
    })
    assert.throws(() => decideRoles([], SERVICES, mode), { code: 'USAGE', message: /inventory-service, console/ })
  }
})
