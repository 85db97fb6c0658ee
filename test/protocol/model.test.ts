import assert from 'node:assert/strict'
import test from 'node:test'

import { explore, follow, formatRun } from './explore.ts'
import type { ModelOptions } from './model-state.ts'
import { rowMachine } from './model.ts'
import { ROW_REMOVALS, rowRuns } from './removals.ts'

/** Everything that the options reach, in full: no bound but the options themselves. */
const HOLDS: Readonly<Record<string, Partial<ModelOptions>>> = {
  'three changes, two readers, two evictions': {},
  'the last change deletes the row': { deletes: [3] },
  'one process does the work of both consumers': { apart: false },
  'Redis falls back to an older state of itself': { rollback: 1, txs: 2, evict: 1 },
  'a change ends the lease, instead of being noted in it': { changeEndsLease: true },
  'the policy is cached': { policy: 'cached', absent: true, deletes: [2] },
  'absence is cached': { absent: true },
  'absence is cached, and the row is deleted and inserted again': { absent: true, deletes: [2] },
  'absence is cached, and Redis falls back': { absent: true, deletes: [2], rollback: 1, txs: 2, readers: 1 },
  'readers present tokens, and Redis falls back': { tokens: true, rollback: 1, txs: 2, readers: 1 },
  'Redis falls back, and the insert after a delete has the lowest LSN': {
    lsns: [2, 3, 1],
    deletes: [2],
    absent: true,
    coalesce: true,
    rollback: 1,
    readers: 1,
    evict: 1,
  },
  'readers present tokens': { tokens: true, txs: 2, absent: true },
  'readers present tokens of a row that is deleted and inserted again': {
    tokens: true,
    absent: true,
    deletes: [2],
    evict: 1,
  },
  'the insert after a delete has the lower LSN': { lsns: [1, 3, 2], deletes: [2], absent: true },
  'the insert after a delete has the lowest LSN': { lsns: [2, 3, 1], deletes: [2], absent: true },
  'the insert after a delete has the lower LSN, in one process': {
    lsns: [1, 3, 2],
    deletes: [2],
    absent: true,
    apart: false,
  },
  'changes share calls': { coalesce: true, deletes: [3], evict: 1 },
  'changes share calls, and the insert after a delete has the lower LSN': {
    lsns: [1, 3, 2],
    deletes: [2],
    absent: true,
    coalesce: true,
  },
  'changes share calls, and the insert after a delete has the lowest LSN': {
    lsns: [2, 3, 1],
    deletes: [2],
    absent: true,
    coalesce: true,
  },
  'a TRUNCATE travels apart from the row': { truncate: 2, deletes: [2], absent: true, evict: 1 },
  'the slot is lost': { gap: 1, evict: 1, reads: 2 },
  'the slot is lost, and Redis falls back': { gap: 1, rollback: 1, txs: 2, readers: 1, evict: 1 },
}

for (const [name, options] of Object.entries(HOLDS)) {
  void test(`P1 P2 P3 F L7: every interleaving holds: ${name}`, () => {
    const { broken, states } = explore(rowMachine(options))
    const found = [...broken].map(([property, run]) => `${property}: ${formatRun(run)}`)
    assert.deepEqual(found, [])
    assert.ok(states > 10_000, `${states} states are too few to mean anything`)
  })
}

for (const { rule, breaks, options, why } of ROW_REMOVALS) {
  void test(`${breaks.join(' ')}: without the rule "${rule}", ${why}`, () => {
    const without = rowMachine({ ...options, off: [rule] })
    const { broken } = rowRuns({ rule, options })
    const shown = [...broken].map(([property, run]) => `${property}: ${formatRun(run)}`).join('\n')
    assert.deepEqual([...broken.keys()].sort(), [...breaks], shown)
    const whole = rowMachine(options)
    for (const [property, run] of broken) {
      const end = follow(without, run)
      assert.ok(end && without.broken(end).includes(property), `not a run that breaks ${property}: ${formatRun(run)}`)
      // The same run under all rules either cannot be taken, or ends well.
      const held = follow(whole, run)
      assert.deepEqual(held ? whole.broken(held) : [], [], formatRun(run))
    }
  })
}
