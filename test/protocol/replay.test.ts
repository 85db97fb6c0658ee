import assert from 'node:assert/strict'
import test, { after } from 'node:test'

import { formatRun, type Step } from './explore.ts'
import type { ModelOptions } from './model-state.ts'
import { rowMachine } from './model.ts'
import { ROW_MUTANTS } from './mutants.ts'
import { ROW_REMOVALS, rowRuns } from './removals.ts'
import { replayRedis } from './replay.ts'
import { rowReplay } from './row-replay.ts'
import { FIRST_SEED, randomFrom, shuffled, walk, walksOf } from './walks.ts'

const redis = await replayRedis({ after })

async function walked(options: Partial<ModelOptions>, seed: number): Promise<string | null> {
  const replay = await rowReplay(redis, options, shuffled(options.txs ?? 3, randomFrom(seed)))
  return await walk(rowMachine(options), replay, { seed })
}

async function replayed(options: Partial<ModelOptions>, run: readonly Step[]): Promise<readonly string[]> {
  const replay = await rowReplay(redis, options, shuffled(options.txs ?? 3, randomFrom(run.length)))
  for (const step of run) await replay.take(step)
  await replay.rest()
  return replay.broken
}

const LONG: Partial<ModelOptions> = {
  txs: 6,
  lsns: [1, 2, 3, 4, 5, 6],
  deletes: [3],
  readers: 2,
  reads: 12,
  evict: 4,
  absent: true,
}
const REINSERTS: Partial<ModelOptions> = { ...LONG, lsns: [1, 3, 2, 4, 6, 5], deletes: [2, 5], coalesce: true }

const WALKED: Readonly<Record<string, Partial<ModelOptions>>> = {
  'a row': LONG,
  'a row of a view with policy cached': { ...LONG, policy: 'cached' },
  'one process that does the work of both consumers': { ...LONG, apart: false },
  'readers with tokens': { ...LONG, tokens: true },
  'inserts with lower LSNs than the deletes before them, in shared calls': REINSERTS,
  'a Redis that falls back': { ...LONG, rollback: 1 },
  'a slot that is lost': { ...LONG, rollback: 1, gap: 1 },
  'a TRUNCATE on a way of its own': { ...LONG, truncate: 3 },
}

for (const [name, options] of Object.entries(WALKED)) {
  void test(`P1 P2 P3 F L2 L7: the real scripts do what the model does, on random walks: ${name}`, async () => {
    const walks = walksOf(Object.keys(WALKED).length)
    for (let seed = FIRST_SEED; seed < FIRST_SEED + walks; seed++) assert.equal(await walked(options, seed), null)
  })
}

for (const { rule, options } of ROW_REMOVALS) {
  void test(`P1 P2 P3 F L7: the runs that break the model without "${rule}" break nothing here`, async () => {
    const { broken } = rowRuns({ rule, options })
    assert.ok(broken.size > 0)
    for (const run of broken.values()) assert.deepEqual(await replayed(options, run), [], formatRun(run))
  })
}

for (const mutant of ROW_MUTANTS) {
  void test(`a replay finds it: ${mutant.name}`, async () => {
    const { broken } = rowRuns(mutant)
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

  void test(`a walk finds it: ${mutant.name}`, async () => {
    const { tokens = false, truncate = 0, gap = 0, coalesce = false } = mutant.options
    const options = { ...(coalesce ? REINSERTS : LONG), tokens, truncate: truncate > 0 ? 3 : 0, gap }
    await redis.mutate(mutant.edits)
    try {
      let found: string | null = null
      for (let seed = 1; seed <= 300 && found === null; seed++) found = await walked(options, seed)
      assert.notEqual(found, null)
    } finally {
      await redis.mutate([])
    }
  })
}
