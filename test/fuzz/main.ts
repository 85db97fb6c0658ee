/**
 * npm run fuzz -- [--seconds N] [--seed S|rotate] [TARGET...]: each target for so long, one after the other. An input that breaks a
 * promise goes into the corpus, where the short runs of `test/fuzz/*.test.ts` try it from then on.
 */
import { parseArgs } from 'node:util'

import { redisBinary } from '../../src/roles/embedded/redis-binary.ts'
import { startTestCluster, TEST_POSTGRES_VARIABLE } from '../support/postgres-cluster.ts'
import { SOFTWARE_DIRECTORY } from '../support/test-directory.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { runTarget, seedOf } from './run-target.ts'
import { configuration, debeziumOptions, settings } from './targets/configuration.ts'
import { domainEvents } from './targets/domain-events.ts'
import { envelope } from './targets/envelope.ts'
import { consoleServer, httpSocket, inventoryService, orderService } from './targets/http.ts'
import { assembler, decoder, framer } from './targets/pgoutput.ts'
import { redisStrangers } from './targets/redis-strangers.ts'
import { replicationServer } from './targets/replication-server.ts'

const TARGETS: readonly FuzzTarget[] = [
  framer,
  decoder,
  assembler,
  replicationServer,
  envelope,
  configuration,
  settings,
  debeziumOptions,
  orderService,
  inventoryService,
  consoleServer,
  httpSocket,
  redisStrangers,
  domainEvents,
]

process.exit(await main())

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: 'rotate' } },
  })
  const seconds = Number(values.seconds)
  const unknown = positionals.filter((name) => !TARGETS.some((target) => target.name === name))
  if (unknown.length > 0 || !(seconds > 0)) {
    console.error(
      `fuzz: [--seconds N] [--seed S|rotate] [TARGET...]; targets: ${TARGETS.map(({ name }) => name).join(', ')}`,
    )
    return 2
  }
  const seed = seedOf(values.seed)
  console.log(`seed ${seed}, ${seconds} s a target`)
  await redisBinary({ softwareDirectory: SOFTWARE_DIRECTORY, say: console.log })
  const cluster = await startTestCluster()
  process.env[TEST_POSTGRES_VARIABLE] = cluster.url
  let broken = 0
  try {
    for (const target of TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name)))
      if (!(await runOne(target, { seed, seconds }))) broken += 1
  } finally {
    await cluster.remove()
  }
  console.log(broken === 0 ? 'no promise was broken' : `${broken} targets broke a promise: see above`)
  return broken === 0 ? 0 : 1
}

async function runOne(
  target: FuzzTarget,
  options: { readonly seed: number; readonly seconds: number },
): Promise<boolean> {
  const cleanups: (() => void | Promise<void>)[] = []
  try {
    const { corpus, inputs } = await runTarget({ after: (cleanup) => void cleanups.push(cleanup) }, target, {
      ...options,
      keepsFound: true,
    })
    console.log(`${target.name}: ${inputs} inputs and ${corpus} of the corpus, nothing found`)
    return true
  } catch (error) {
    console.error(error)
    return false
  } finally {
    for (const cleanup of cleanups.toReversed()) await cleanup()
  }
}
