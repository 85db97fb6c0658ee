/**
 * node bench/rivals/process.ts ROLE...: rivals in a process of their own, as TrackOps's consumers are. Settings as in the environment below.
 */
import { setTimeout as sleep } from 'node:timers/promises'

import { Producer } from '@platformatic/kafka'
import { createClient } from '@redis/client'

import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { type ChangeEvent, consume } from './consume.ts'
import { createInvalidator } from './invalidator.ts'
import { createPublisher } from './publisher.ts'
import { createWarmer } from './warmer.ts'

const {
  RIVAL_BROKERS = '',
  RIVAL_REDIS_URL = '',
  RIVAL_DATABASE_URL = '',
  RIVAL_TOPIC = '',
  RIVAL_GROUP = 'rival',
} = process.env
const concurrency = Number(process.env['RIVAL_CONCURRENCY'] ?? 1)
const warmFrom = process.env['RIVAL_WARM_FROM'] === 'event' ? 'event' : 'select'
const RESTART_MS = 200
const brokers = RIVAL_BROKERS.split(',')

const stop = new AbortController()
process.on('SIGTERM', () => stop.abort())
const redis = createClient({ url: RIVAL_REDIS_URL })
redis.on('error', () => undefined)
await redis.connect()
const sql = createPostgresPool(RIVAL_DATABASE_URL, { applicationName: 'rival', maxConnections: 10 })
const producer = new Producer({ clientId: 'rival', bootstrapBrokers: brokers })

const handlers: Readonly<Record<string, (event: ChangeEvent) => Promise<void>>> = {
  invalidator: createInvalidator(redis),
  warmer: createWarmer({ redis, sql }, warmFrom),
  publisher: createPublisher(producer),
}

/** As whoever runs the process would: one that ends with an error is started again. */
async function keepConsuming(role: string, handle: (event: ChangeEvent) => Promise<void>): Promise<void> {
  const { signal } = stop
  const options = { brokers, topic: RIVAL_TOPIC, groupId: `${RIVAL_GROUP}-${role}`, concurrency, signal }
  while (!signal.aborted) {
    try {
      await consume(options, handle)
    } catch (error) {
      console.error(role, error)
      await sleep(RESTART_MS)
    }
  }
}

await Promise.all(
  process.argv.slice(2).map((role) => {
    const handle = handlers[role]
    if (!handle) throw new Error(`there is no rival ${role}`)
    return keepConsuming(role, handle)
  }),
)
await producer.close()
await sql.end({ timeout: 1 })
redis.destroy()
process.exit(0)
