/** TrackOps and its rival, each as the processes that somebody would run, on a Redis of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

import { createClient } from '@redis/client'

import { committedOffsets, type PartitionOffsets } from '../../src/log/kafka/topic-offsets.ts'
import { cachePositions } from '../../src/roles/distributed/cache-positions.ts'
import { CONSUMER_GROUPS } from '../../src/consume/stream-consumer.ts'
import { defer, type TestScope } from '../../test/support/defer.ts'
import { type TestRedis, testRedis } from '../../test/support/redis.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { PARTITIONS, ROOT, type Servers } from './servers.ts'

export const OURS = 'trackops'

export type Role = 'invalidator' | 'warmer' | 'publisher'

export interface Contestant {
  readonly name: string
  readonly redisServer: TestRedis
  readonly redis: ReturnType<typeof redisClient>
  /** Starts one more process with these roles. */
  start(roles: readonly Role[]): void
  /** SIGTERM to all of them, and their end; SIGKILL to those that do not come to one. */
  stop(): Promise<void>
  /** SIGKILL to all of them, and their end. */
  kill(): Promise<void>
  /** How many changes the warmer has in Redis. */
  warmed(): Promise<number>
  /** Resolves when these roles, all of them unless given, have handled everything before these ends of partitions. */
  caughtUp(ends: ReadonlyMap<string, bigint>, roles?: readonly Role[]): Promise<void>
  /** CPU of the processes that run, user and system. */
  cpuSeconds(): number
  /** As if it had never run: Redis empty, no offsets. Nothing may run. */
  reset(): Promise<void>
  /** Every group goes back by so many records in each partition. Nothing may run. */
  goBack(records: number): Promise<void>
}

export interface RivalOptions {
  readonly concurrency: number
  readonly warmFrom: 'select' | 'event'
}

interface Kind {
  readonly name: string
  readonly groups: Readonly<Record<Role, string>>
  readonly command: (roles: readonly Role[]) => readonly string[]
  readonly env: (redisUrl: string) => Readonly<Record<string, string>>
}

const OUR_ROLES = {
  invalidator: 'cache-invalidator',
  warmer: 'cache-warmer',
  publisher: 'order-event-consumer',
} as const

export function ours(scope: TestScope, servers: Servers): Promise<Contestant> {
  return contestant(scope, servers, {
    name: OURS,
    groups: {
      invalidator: CONSUMER_GROUPS['cache-invalidator'],
      warmer: CONSUMER_GROUPS['cache-warmer'],
      publisher: CONSUMER_GROUPS['order-event-consumer'],
    },
    command: (roles) => ['src/cli/main.ts', 'run', ...roles.map((role) => OUR_ROLES[role])],
    env: (redisUrl) => ({
      TRACKOPS_MODE: 'distributed',
      KAFKA_BROKERS: servers.brokers.join(','),
      DATABASE_URL: servers.url,
      INVENTORY_DATABASE_URL: servers.inventoryUrl,
      REDIS_URL: redisUrl,
      TRACKOPS_LOG_LEVEL: process.env['TRACKOPS_BENCH_LOG'] ? 'info' : 'silent',
    }),
  })
}

export function rival(
  scope: TestScope,
  servers: Servers,
  { concurrency, warmFrom }: RivalOptions,
): Promise<Contestant> {
  const group = `rival-${warmFrom}-${concurrency}`
  return contestant(scope, servers, {
    name: `rival, ${warmFrom === 'select' ? 'SELECT and SETEX' : 'SETEX from the event'}, ${concurrency} at a time`,
    groups: { invalidator: `${group}-invalidator`, warmer: `${group}-warmer`, publisher: `${group}-publisher` },
    command: (roles) => ['bench/rivals/process.ts', ...roles],
    env: (redisUrl) => ({
      RIVAL_BROKERS: servers.brokers.join(','),
      RIVAL_TOPIC: servers.topic,
      RIVAL_DATABASE_URL: servers.url,
      RIVAL_REDIS_URL: redisUrl,
      RIVAL_GROUP: group,
      RIVAL_CONCURRENCY: String(concurrency),
      RIVAL_WARM_FROM: warmFrom,
    }),
  })
}

function redisClient(url: string) {
  return createClient({ url, RESP: 2, disableOfflineQueue: true, socket: { reconnectStrategy: 20 } })
}

async function contestant(scope: TestScope, servers: Servers, kind: Kind): Promise<Contestant> {
  const { admin, topic } = servers
  // What a dump is restored from has to be a dump.
  const redisServer = await testRedis(scope, { settings: { appendonly: 'no', save: '' } })
  const redis = redisClient(redisServer.url)
  redis.on('error', () => undefined)
  await redis.connect()
  defer(scope, () => redis.destroy())
  const running = new Map<ChildProcess, Promise<unknown>>()
  let isEnding = false
  const partitions = Array.from({ length: PARTITIONS }, (_, number) => `${topic}-${number}`)

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    isEnding = true
    const all = [...running]
    for (const [child] of all) child.kill(signal)
    // A consumer whose last commit is never answered does not end by itself.
    const impatient = setTimeout(() => all.forEach(([child]) => child.kill('SIGKILL')), GRACE_MS)
    await Promise.all(all.map(([, exited]) => exited))
    clearTimeout(impatient)
  }
  /** One that ends by itself is started again, as whoever runs it would. */
  const startProcess = (roles: readonly Role[]): void => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...kind.command(roles)], {
      cwd: ROOT,
      env: { ...process.env, ...kind.env(redisServer.url) },
      stdio: ['ignore', 'ignore', process.env['TRACKOPS_BENCH_LOG'] ? 'inherit' : 'ignore'],
    })
    running.set(child, new Promise((resolve) => child.once('exit', resolve)))
    child.once('exit', () => {
      running.delete(child)
      if (!isEnding) startProcess(roles)
    })
  }
  const emergency = (): void => {
    for (const [child] of running) child.kill('SIGKILL')
  }
  process.on('exit', emergency)
  defer(scope, async () => {
    await end('SIGKILL')
    process.off('exit', emergency)
  })
  const setOffsets = async (offsetOf: (committed: bigint) => bigint): Promise<void> => {
    for (const groupId of Object.values(kind.groups)) {
      const committed = await committedOffsets(admin, groupId)
      const mine = partitions.flatMap((name, partition) => {
        const offset = committed.get(name)
        return offset === undefined ? [] : [{ partition, offset: offsetOf(offset) }]
      })
      if (mine.length > 0)
        await admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets: mine }] })
    }
  }

  return {
    name: kind.name,
    redisServer,
    redis,
    start(roles) {
      isEnding = false
      startProcess(roles)
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    async warmed() {
      const [, warmer] =
        kind.name === OURS
          ? await cachePositions(redis, '', partitions)
          : [null, await committedOffsets(admin, kind.groups.warmer)]
      return Number([...warmer.values()].reduce((sum, offset) => sum + offset, 0n))
    },
    async caughtUp(ends, roles) {
      const isReached = (offsets: PartitionOffsets): boolean =>
        [...ends].every(([name, end]) => (offsets.get(name) ?? 0n) >= end)
      const committed = (role: Role): Promise<PartitionOffsets> => committedOffsets(admin, kind.groups[role])
      await waitFor(
        async () => {
          const [invalidator, warmer] =
            kind.name === OURS
              ? await cachePositions(redis, '', partitions)
              : await Promise.all([committed('invalidator'), committed('warmer')])
          const publisher = roles?.includes('publisher') === false ? [] : [await committed('publisher')]
          return [invalidator, warmer, ...publisher].every(isReached)
        },
        { what: `${kind.name} to have caught up`, timeoutMs: 300_000, intervalMs: 100 },
      )
    },
    cpuSeconds: () => [...running.keys()].reduce((sum, { pid }) => sum + cpuSecondsOf(pid), 0),
    async reset() {
      await redis.sendCommand(['FLUSHALL'])
      // A member that was killed belongs to its group until its session ends.
      await waitFor(
        async () => {
          const known = new Set((await admin.listGroups()).keys())
          const groups = Object.values(kind.groups).filter((group) => known.has(group))
          if (groups.length > 0) await admin.deleteGroups({ groups })
          return true
        },
        { what: `the groups of ${kind.name} to be empty`, intervalMs: 200 },
      )
    },
    goBack: (records) => setOffsets((committed) => (committed > BigInt(records) ? committed - BigInt(records) : 0n)),
  }
}

/** As whoever runs processes gives them. */
const GRACE_MS = 10_000
const TICKS_PER_SECOND = 100

/** Linux: fields 14 and 15 of /proc/PID/stat. 0 elsewhere. */
function cpuSecondsOf(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  } catch {
    return 0
  }
}
