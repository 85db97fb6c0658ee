import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ratiosOf } from './ratios.ts'
import { resultOf } from './result-fixture.ts'

const { figures } = resultOf()

test('every part has its ratio to the plain thing of its round, the greater the worse', () => {
  assert.deepEqual(ratiosOf(figures), {
    'drain: elapsed, of that of pg_recvlogical': 5,
    "latency, embedded, 100 commits/s: an INSERT's start to its key, of the INSERT (p50)": 4,
    "latency, distributed, 100 commits/s: an INSERT's start to its key, of the INSERT (p50)": 4,
    'reads: an order from the cache, of a constant answer': 2,
    'reads: an order from the cache, of one from the database': 0.2,
    "reads: the reader's get, of a bare GET": 3,
    'memory: highest over a large transaction, of idle': 2.5,
    'drain from Kafka: a change, of that of rival, simple': 3,
  })
})

test('what was not there to be compared with has no ratio', () => {
  const { distributedLatency: _latency, rivals: _rivals, ...embedded } = figures
  const rounds = figures.drain.rounds.map((round) => ({ ...round, rivalSeconds: null }))
  const names = Object.keys(ratiosOf({ ...embedded, drain: { changes: 1_000, rounds } }))
  assert.deepEqual(
    names.filter((name) => /distributed|Kafka|pg_recvlogical/.test(name)),
    [],
  )
})
