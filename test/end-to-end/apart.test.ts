import { test } from 'node:test'

import config from '../../trackops.config.ts'
import type { TrackOpsConfig } from '../../src/roles/define-config.ts'
import { testSystem } from '../support/system.ts'
import { checkScenario, checkScenarios, SCENARIOS } from './behind-the-back.ts'

const APART: Partial<TrackOpsConfig> = { cache: { consumers: 'apart' } }

test('invalidator and warmer apart end where they end together', async (t) => {
  const system = await testSystem(t, { config: APART })
  await checkScenarios(t, { ...system, config: { ...config, ...APART } })
})

test('a system may change between apart and together with every start', async (t) => {
  let consumers: 'apart' | 'together' = 'apart'
  const system = await testSystem(t, {
    config: {
      get cache() {
        return { consumers }
      },
    },
  })
  for (const next of ['together', 'apart', 'together'] as const) {
    await system.sql`insert into orders (status) select 'BEFORE' from generate_series(1, 50)`
    await system.stop()
    await system.sql`update orders set status = 'MEANWHILE'`
    consumers = next
    await system.restart()
    await checkScenario(system, SCENARIOS[0] ?? { run: async () => undefined })
  }
})
