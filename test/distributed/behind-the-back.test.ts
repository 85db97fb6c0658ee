import { test } from 'node:test'

import { checkScenarios } from '../end-to-end/behind-the-back.ts'
import { distributedSystem, WHOLE_MS } from '../support/distributed.ts'
import { whyNoStack } from '../support/stack.ts'

const skip = await whyNoStack()

test(
  'distributed: the keys are what the database says, whoever wrote it and however',
  { skip, timeout: WHOLE_MS },
  async (t) => {
    await checkScenarios(t, await distributedSystem(t))
  },
)
