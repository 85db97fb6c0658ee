import assert from 'node:assert/strict'
import test, { after } from 'node:test'

import { formatRun, type Step } from './explore.ts'
import { LIST_DEFAULTS, type ListChange, type ListModelOptions } from './list-model-state.ts'
import { listMachine } from './list-model.ts'
import { listReplay } from './list-replay.ts'
import { ANYWHERE, LIST_MUTANTS } from './mutants.ts'
import { LIST_REMOVALS, listRuns } from './removals.ts'
import { replayRedis } from './replay.ts'
import { FIRST_SEED, randomFrom, shuffled, walk, walksOf } from './walks.ts'

const redis = await replayRedis({ after })

const changesOf = (options: Partial<ListModelOptions>) => options.changes ?? LIST_DEFAULTS.changes

async function walked(options: Partial<ListModelOptions>, seed: number): Promise<string | null> {
  const order = shuffled(changesOf(options).length, randomFrom(seed))
  return await walk(listMachine(options), await listReplay(redis, options, order), { seed })
}

async function replayed(options: Partial<ListModelOptions>, run: readonly Step[]): Promise<readonly string[]> {
  const replay = await listReplay(redis, options, shuffled(changesOf(options).length, randomFrom(run.length)))
  for (const step of run) await replay.take(step)
  await replay.rest()
  return replay.broken
}

/** Rows leave and come back, one with a lower LSN than it left with. */
const CHANGES: readonly ListChange[] = [
  { row: 0, lsn: 2 },
  { row: 1, lsn: 1 },
  { row: 0, lsn: 4, leaves: true },
  { row: 1, lsn: 6 },
  { row: 0, lsn: 3 },
  { row: 0, lsn: 7 },
  { row: 1, lsn: 8, leaves: true },
]
const LONG: Partial<ListModelOptions> = { changes: CHANGES, readers: 2, reads: 12, evict: 4 }

const WALKED: Readonly<Record<string, Partial<ListModelOptions>>> = {
  'a list': LONG,
  'a list, one process that does the work of both consumers': { ...LONG, apart: false },
  'a list, readers with tokens': { ...LONG, tokens: true },
  'a list, a Redis that falls back': { ...LONG, rollback: 1 },
  'a query': { ...LONG, kind: 'query' },
  'a query, one process that does the work of both consumers': { ...LONG, kind: 'query', apart: false },
  'a query, readers with tokens': { ...LONG, kind: 'query', tokens: true },
  'a query, a Redis that falls back': { ...LONG, kind: 'query', rollback: 1 },
}

for (const [name, options] of Object.entries(WALKED)) {
  void test(`P1 P2 P3 F W L2 L7: the real scripts do what the model does, on random walks: ${name}`, async () => {
    const walks = walksOf(Object.keys(WALKED).length)
    for (let seed = FIRST_SEED; seed < FIRST_SEED + walks; seed++) assert.equal(await walked(options, seed), null)
  })
}

for (const { off, options } of LIST_REMOVALS) {
  const what = `${options.kind ?? 'list'} without ${off.join(' and ')}`
  void test(`P1 P2 P3 F W L7: the runs that break the model of a ${what} break nothing here`, async () => {
    const { broken } = listRuns({ off, options })
    assert.ok(broken.size > 0)
    for (const run of broken.values()) assert.deepEqual(await replayed(options, run), [], formatRun(run))
  })
}

for (const mutant of LIST_MUTANTS) {
  const kind = mutant.options.kind ?? 'list'

  void test(`a replay of a ${kind} finds it: ${mutant.name}`, async () => {
    const { broken } = listRuns(mutant)
    await redis.mutate(mutant.edits)
    try {
      for (const [property, run] of broken) {
        const found = await replayed(mutant.options, run)
        const isFound = found.some((what) => (mutant.breaks ?? [property]).some((each) => what.startsWith(each)))
        assert.ok(isFound, `${property} should break, but: ${found.join('; ')}: ${formatRun(run)}`)
      }
    } finally {
      await redis.mutate([])
    }
  })

  void test(`a walk of a ${kind} finds it: ${mutant.name}`, async () => {
    const { tokens = false, apart = true } = mutant.options
    await redis.mutate(mutant.edits)
    try {
      let found: string | null = null
      for (let seed = 1; seed <= 300 && found === null; seed++)
        found = await walked({ ...LONG, kind, tokens, apart }, seed)
      assert.notEqual(found, null)
    } finally {
      await redis.mutate([])
    }
  })
}

void test("P2 P3: a member's version holds where positions do not: a redelivered change is left out", async () => {
  const removal = LIST_REMOVALS.find(({ off }) => off.includes('memberversion'))
  assert.ok(removal)
  await redis.mutate([ANYWHERE])
  try {
    for (const run of listRuns(removal).broken.values()) {
      const found = await replayed(removal.options, run)
      assert.deepEqual(
        found.filter((what) => !what.startsWith('L2')),
        [],
        formatRun(run),
      )
    }
  } finally {
    await redis.mutate([])
  }
})
