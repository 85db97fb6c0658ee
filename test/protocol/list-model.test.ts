import assert from 'node:assert/strict'
import test from 'node:test'

import { explore, follow, formatRun } from './explore.ts'
import type { ListChange, ListModelOptions } from './list-model-state.ts'
import { listMachine } from './list-model.ts'
import { LIST_REMOVALS, listRuns } from './removals.ts'

/** The first row leaves the list and comes back. */
const LEAVES: readonly ListChange[] = [
  { row: 0, lsn: 2, leaves: true },
  { row: 1, lsn: 1 },
  { row: 0, lsn: 3 },
]
/** It comes back with a lower LSN than it left with: see model.ts, `lsns`. */
const RETURNS_LOWER: readonly ListChange[] = [
  { row: 0, lsn: 3, leaves: true },
  { row: 0, lsn: 1 },
  { row: 1, lsn: 2 },
]

const HOLDS: Readonly<Record<string, Partial<ListModelOptions>>> = {
  'a list, LSN order is not commit order': { evict: 2 },
  'a list that a row leaves': { changes: LEAVES },
  'a list to which a row returns with a lower LSN': { changes: RETURNS_LOWER },
  'a list, one process does the work of both consumers': { apart: false },
  'a list, and Redis falls back': { rollback: 1, changes: LEAVES.slice(0, 2), reads: 2 },
  'a list, readers present tokens': { tokens: true, reads: 2 },
  'a query': { kind: 'query', evict: 2 },
  'a query, one process does the work of both consumers': { kind: 'query', apart: false },
  'a query, and Redis falls back': { kind: 'query', rollback: 1, changes: LEAVES.slice(0, 2), reads: 2 },
  'a query, readers present tokens': { kind: 'query', tokens: true, reads: 2 },
}

for (const [name, options] of Object.entries(HOLDS)) {
  void test(`P1 P2 P3 F W L7: every interleaving holds: ${name}`, () => {
    const { broken, states } = explore(listMachine(options))
    const found = [...broken].map(([property, run]) => `${property}: ${formatRun(run)}`)
    assert.deepEqual(found, [])
    assert.ok(states > 10_000, `${states} states are too few to mean anything`)
  })
}

for (const { off, breaks, options, why } of LIST_REMOVALS) {
  void test(`${breaks.join(' ')}: a ${options.kind ?? 'list'} without ${off.join(' and ')}: ${why}`, () => {
    const without = listMachine({ ...options, off })
    const { broken } = listRuns({ off, options })
    const shown = [...broken].map(([property, run]) => `${property}: ${formatRun(run)}`).join('\n')
    assert.deepEqual([...broken.keys()].sort(), [...breaks], shown)
    const whole = listMachine(options)
    for (const [property, run] of broken) {
      const end = follow(without, run)
      assert.ok(end && without.broken(end).includes(property), `not a run that breaks ${property}: ${formatRun(run)}`)
      const held = follow(whole, run)
      assert.deepEqual(held ? whole.broken(held) : [], [], formatRun(run))
    }
  })
}

void test('a member needs no version of its own as long as positions are atomic', () => {
  assert.equal(explore(listMachine({ off: ['memberversion'] })).broken.size, 0)
  assert.equal(explore(listMachine({ off: ['atomic'], apart: false })).broken.size, 0)
})
