import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isLoopback } from './loopback.ts'

test('loopback is what cannot leave the machine, whatever it is called', () => {
  for (const host of [
    'localhost',
    'LOCALHOST',
    'a.localhost',
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '[::1]',
    '::ffff:127.0.0.1',
    '/run',
  ])
    assert.ok(isLoopback(host), host)
  for (const host of [
    'db',
    'db.example',
    '10.0.0.1',
    '128.0.0.1',
    '127.example',
    '::2',
    '0.0.0.0',
    'localhost.example',
    '',
  ])
    assert.ok(!isLoopback(host), host)
})
