import { test } from 'node:test'

import { testSystem } from '../support/system.ts'
import { checkScenarios } from './behind-the-back.ts'

test('the keys are what the database says, whoever wrote it and however', async (t) => {
  await checkScenarios(t, await testSystem(t))
})
