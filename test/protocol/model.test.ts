import assert from 'node:assert/strict'
import test from 'node:test'

import { explore, follow, formatRun } from './explore.ts'
import type { ModelOptions, Rule } from './model-state.ts'
import { rowMachine } from './model.ts'

/** Everything that the options reach, in full: no bound but the options themselves. */
const HOLDS: Readonly<Record<string, Partial<ModelOptions>>> = {
  'three changes, two readers, two evictions': {},
  'the last change deletes the row': { deletes: [3] },
  'one process does the work of both consumers': { apart: false },
  'Redis falls back to an older state of itself': { rollback: 1, txs: 2 },
  'a change ends the lease, instead of being noted in it': { changeEndsLease: true },
  'the policy is cached': { policy: 'cached', absent: true, deletes: [2] },
  'absence is cached': { absent: true },
  'absence is cached, and the row is deleted and inserted again': { absent: true, deletes: [2] },
  'absence is cached, and Redis falls back': { absent: true, deletes: [2], rollback: 1, txs: 2, readers: 1 },
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

interface Removal {
  readonly rule: Rule
  /** All that break, and no other. */
  readonly breaks: readonly string[]
  readonly options?: Partial<ModelOptions>
  readonly why: string
}

const REINSERT: Partial<ModelOptions> = { lsns: [2, 3, 1], deletes: [2], absent: true, coalesce: true }

const REMOVALS: readonly Removal[] = [
  { rule: 'lease', breaks: ['P1', 'P2', 'P3'], why: 'a slow fill installs what it read before the change' },
  { rule: 'passed', breaks: ['P1', 'P2', 'P3'], why: 'a slow fill does not know that a change came by' },
  { rule: 'version', breaks: ['P2', 'P3'], why: 'an older change replaces a newer read' },
  { rule: 'snap', breaks: ['P2', 'P3'], why: 'a change that the read contains replaces it' },
  { rule: 'ends', breaks: ['P2'], why: 'one reader answers the new state, another then installs the old one' },
  { rule: 'fence', breaks: ['P3'], why: 'the warmer creates what the invalidator has already seen replaced' },
  { rule: 'keepfence', breaks: ['P3'], why: 'an evicted fence is no fence' },
  { rule: 'answered', breaks: ['P2'], why: 'the warmer creates what is older than an answer from the database' },
  { rule: 'visible', breaks: ['P1', 'P2', 'P3'], why: 'a fill reads the old row after its change was processed' },
  {
    rule: 'atomic',
    breaks: ['P2', 'P3'],
    options: { readers: 1, evict: 1, txs: 2, apart: false },
    why: 'a redelivered change creates an entry anew',
  },
  { rule: 'bypass', breaks: ['P2'], options: { tokens: true, txs: 2 }, why: 'the old entry outlives the newer answer' },
  { rule: 'token', breaks: ['L7'], options: { tokens: true, txs: 2 }, why: 'the entry does not have the write' },
  { rule: 'greatest', breaks: ['P1', 'P3'], options: REINSERT, why: 'the fence lies below the change that it covers' },
  { rule: 'fenceposition', breaks: ['F'], options: REINSERT, why: 'the last change is below the fence for ever' },
  {
    rule: 'viewfence',
    breaks: ['P1', 'P3'],
    options: { truncate: 2, deletes: [2], absent: true, evict: 1, txs: 2 },
    why: 'the warmer creates a row that a TRUNCATE removed',
  },
  {
    rule: 'generation',
    breaks: ['P1'],
    options: { gap: 1, evict: 1, reads: 2 },
    why: 'a fill from before the forget slips in behind the sweep',
  },
  {
    rule: 'gapvisible',
    breaks: ['P1'],
    options: { gap: 1, evict: 1, reads: 2 },
    why: 'a fill after the forget still reads a row whose change was lost',
  },
  {
    rule: 'repositionlast',
    breaks: ['F', 'P1'],
    options: { gap: 1, rollback: 1, txs: 2, readers: 1, evict: 1 },
    why: 'Redis falls back into a forget that its positions say is done',
  },
  {
    rule: 'sweepfences',
    breaks: ['F'],
    options: { gap: 1, evict: 1, reads: 2 },
    why: 'nobody comes by any more for the fence of a lost change',
  },
]

for (const { rule, breaks, options = {}, why } of REMOVALS) {
  void test(`${breaks.join(' ')}: without the rule "${rule}", ${why}`, () => {
    const without = rowMachine({ ...options, off: [rule] })
    const { broken } = explore(without)
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
