import assert from 'node:assert/strict'
import { test } from 'node:test'

import config from '../../trackops.config.ts'
import type { TrackOpsConfig } from '../../src/roles/define-config.ts'
import { checkUnderLoad, FAULTS } from '../faults/redis-lost.ts'
import { testSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'
import { checkScenario, checkScenarios, SCENARIOS } from './behind-the-back.ts'

const APART: Partial<TrackOpsConfig> = { cache: { consumers: 'apart' } }

test('invalidator and warmer apart end where they end together', async (t) => {
  const system = await testSystem(t, { config: APART })
  await checkScenarios(t, { ...system, config: { ...config, ...APART } })
})

test('a system may change between apart and together with every start', async (t) => {
  const cache: { consumers: 'apart' | 'together' } = { consumers: 'apart' }
  const system = await testSystem(t, { config: { cache } })
  // What Redis took is durable a second later, and the snapshot is done then: a system stopped before begins with an empty cache.
  await system.sql`insert into orders (status) values ('FIRST')`
  await waitFor(
    () =>
      system.sql`select from trackops.slots where slot_name = ${system.config.source.slot} and snapshot_completed_at is not null`,
    { what: 'the snapshot to be done', until: (rows) => rows.length === 1 },
  )
  for (const next of ['together', 'apart', 'together'] as const) {
    await system.sql`insert into orders (status) select 'BEFORE' from generate_series(1, 50)`
    await caughtUp(system)
    await system.stop()
    await system.sql`update orders set status = 'MEANWHILE'`
    cache.consumers = next
    await system.restart()
    await caughtUp(system)
    assert.equal((await assertNothingStale(system)).staleKeys, 0)
    await checkScenario(system, SCENARIOS[0] ?? assert.fail())
  }
})

test('L2: apart, a Redis that loses its data is repaired as well', async (t) => {
  const system = await testSystem(t, { config: APART })
  await checkUnderLoad(t, { ...system, config: { ...config, ...APART } }, { faults: FAULTS.slice(0, 4) })
})
